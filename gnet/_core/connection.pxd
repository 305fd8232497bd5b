from .._transport cimport stream_socket
from .dispatcher cimport Dispatcher
from .reading cimport Reading

cdef int CLOSED, CONNECTING, END_MET, FAILED, HALF_OPEN, HASTY, IDLE, LEFT, LISTENERS, OPEN, QUEUED
cdef int SENT, SHARED, SHUT, UNMADE, UNWATCHED, WAITING, WRITABLE


cdef class Connection(Reading):
    cdef public object _local
    cdef public object _rare
    cdef public object _remembered
    cdef public object _remote
    cdef public object _signal
    cdef public object _tls
    cpdef _listening(self, event)
    cpdef bint _holds(self)
    cdef int _facts(self)
    cdef bint _must_keep(self)
    cpdef _local_name(self)
    cpdef _begin(self, Dispatcher loop, high_water_mark)
    cpdef _renew(self, Dispatcher loop)
    cdef list _dismantle(self)
