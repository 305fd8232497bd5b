from .._transport cimport stream_socket
from .._values cimport bare
from .dispatcher cimport Dispatcher
from .emitter cimport EventEmitter


cdef class Held(EventEmitter):
    cdef public bint _holding
    cdef public Dispatcher _loop
    cdef public bint _refed
    cpdef _check_thread(self)
    cpdef _check_unused(self)
    cpdef bint _holds(self)
    cpdef bint _in_use(self)
    cdef _listening(self, event)
    cpdef _listen(self, event, listener, bint once, bint first)
    cpdef tuple _counts(self)
    cdef _join(self, Dispatcher loop)
    cpdef _update_hold(self)
