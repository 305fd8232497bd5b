cimport cython

from .._transport cimport stream_socket
from .flowing cimport Flowing
from .inbound cimport Inbound

cdef int CONNECTING, END_MET, LEFT, LISTENERS
cdef Py_ssize_t UNMEASURED_CALLS
cdef int UNREAD, UNTOLD
cdef int _ASIDE
cdef Py_ssize_t _MANY_BYTES

cdef bint _is_plain(runner)


cdef class Reading(Flowing):
    cdef _await_readable(self, int flags)
    @cython.locals(waking=list, sock=Inbound)
    cdef _leave(self, me)
    cdef _receive_one(self, Py_ssize_t wanted, int flags, view, call)
    @cython.locals(count=Py_ssize_t)
    cdef _receive_now(self, Py_ssize_t wanted, int flags, view, call)

    cdef _received(self, Py_ssize_t count, Py_ssize_t wanted)
