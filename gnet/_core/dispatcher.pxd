from .._transport cimport stream_socket
from .noted cimport Noted


cdef class Dispatcher:
    cdef object __weakref__
    cdef public list _batch
    cdef public object _asked
    cdef public set _forsaken
    cdef public bint _gathering
    cdef public dict _handled
    cdef public Py_ssize_t _holds
    cdef public list _idle
    cdef public list _jobs
    cdef public Py_ssize_t _joining
    cdef public object _quiet
    cdef public object _turn
    cdef public Py_ssize_t _workers
    cdef public Py_ssize_t calls
    cdef public bint gone
    cdef public object hub
    cdef public set kept
    cdef public object ledger
    cdef public object lookout
    cdef public object loop
    cdef public object members
    cdef public Noted noted
    cdef public object others
    cdef public object peers
    cdef public object running
    cdef public Py_ssize_t sharers
    cdef public double since
    cdef public object splicer
    cdef public unsigned long thread
    cdef public object timers

    cpdef _dispatch(self)
    cdef bint _is_quiet(self)
    cpdef defer(self, job)
