cdef class Noted:
    cdef bint _asks
    cdef Py_ssize_t _count
    cdef object _dispatch
    cdef object _hub
    cdef object _note_job
    cdef object _note_socket
    cdef list _sockets
    cdef object _turns
    cdef public list jobs
    cdef public list waking

    cpdef flow(self)
    cpdef unread(self)
    cpdef undo(self)
    cdef _begin(self)
    cdef _wake(self)
