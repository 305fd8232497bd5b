from .._transport cimport stream_socket
from .dispatcher cimport Dispatcher


cdef class Acceptor:
    cdef public object _admit
    cdef public int _alone
    cdef public bint _backed_off
    cdef public object _backoff
    cdef public object _exhausted
    cdef public object _failed
    cdef public object _full
    cdef public bint _in_burst
    cdef public Dispatcher _loop
    cdef public int _max
    cdef public object _pause_timer
    cdef public int _unsought
    cdef public object _watcher
    cdef public object _wire
    cdef public bint waiting
