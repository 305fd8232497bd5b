from .._transport cimport stream_socket
from .dispatcher cimport Dispatcher
from .emitter cimport EventEmitter


cdef class Held(EventEmitter):
    cdef public bint _holding
    cdef public Dispatcher _loop
    cdef public bint _refed
