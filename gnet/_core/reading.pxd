cimport cython

from .._transport cimport stream_socket
from .flowing cimport Flowing

cdef int CONNECTING, END_MET, LEFT, LISTENERS
cdef Py_ssize_t UNMEASURED_CALLS
cdef int UNMADE, UNREAD, UNTOLD


cdef class Reading(Flowing):
    cdef _await_readable(self, flags)
    @cython.locals(count=Py_ssize_t)
    cdef _receive_one(self, Py_ssize_t wanted, flags, view, call)

    cdef _received(self, Py_ssize_t count, Py_ssize_t wanted)
