cimport cython

from .connection cimport Connection
from .emitter cimport EventEmitter

@cython.locals(server=EventEmitter)
cpdef _handle(Connection sock)
cdef _handled(Connection sock, Py_ssize_t generation, failure)


cdef class Runners:
    cdef public dict _borrowed
    cdef public object _connections
    cdef public dict _running
