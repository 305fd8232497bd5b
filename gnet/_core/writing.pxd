cimport cython

from .._transport cimport stream_socket
from .sending cimport Sending

cdef int CONNECTING, LEFT, LISTENERS, OPEN, SENT, SHUT, UNTOLD, WRITABLE
cdef Py_ssize_t UNMEASURED_CALLS


cdef class Writing(Sending):
    @cython.locals(sent=Py_ssize_t, size=Py_ssize_t)
    cpdef write(self, data, encoding=*, callback=*)

    @cython.locals(sent=Py_ssize_t, size=Py_ssize_t)
    cpdef sendall(self, data, flags=*)
