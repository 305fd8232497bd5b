cimport cython

from .._transport cimport stream_socket
from .departure cimport Departure

cdef int CALLER, END_MET, END_TOLD, LEFT, OPEN, SHUT, WRITABLE
cdef int DISCARD, FLOW, UNREAD, UNWATCHED


cdef class Flowing(Departure):
    cdef public bytearray _ahead
    cdef public object _decoder
    cdef public object _flow
    cdef public bint _more
    cdef public object _onread
    cdef public list _pipes
    cdef public object _read_watcher
    cdef public object _serving
    cdef public object _unread
    cdef public int _watching
    cdef public bint allow_half_open
    cdef public long long bytes_read

    cdef bint _goes_on(self, object wire)

    @cython.locals(generation=Py_ssize_t, reads=Py_ssize_t, size=Py_ssize_t)
    cpdef _serve(self)
