cimport cython

from .._transport cimport stream_socket
from .inbound cimport Inbound

cdef int CALLER, END_MET, END_TOLD, FLOW, LEFT, OPEN, SHUT, WRITABLE
cdef Py_ssize_t MAX_READS, READ_BYTES


cdef class Flowing(Inbound):
    cdef bint _ends_with_peer(self)
    cdef bint _goes_on(self, object wire)

    cpdef _emit_end(self)
    cpdef _end_met(self)
    cpdef _deliver_end(self)
    cdef _meet_end(self, str event, bint told)
    cdef _serve_end(self, str event=*)
    cdef _served(self)

    @cython.locals(data=bytes, generation=Py_ssize_t, reads=Py_ssize_t, reading=bint, size=Py_ssize_t)
    cpdef _serve(self)
