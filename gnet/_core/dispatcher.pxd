from .._transport cimport stream_socket


cdef class Dispatcher:
    cdef object __weakref__
    cdef public list _batch
    cdef public object _asked
    cdef public Py_ssize_t _flows
    cdef public set _forsaken
    cdef public dict _handled
    cdef public Py_ssize_t _holds
    cdef public list _idle
    cdef public list _jobs
    cdef public Py_ssize_t _joining
    cdef public object _note
    cdef public object _quiet
    cdef public list _ready
    cdef public object _turn
    cdef public object _turns
    cdef public Py_ssize_t _workers
    cdef public Py_ssize_t calls
    cdef public bint gone
    cdef public object hub
    cdef public set kept
    cdef public object ledger
    cdef public object loop
    cdef public object members
    cdef public object others
    cdef public object peers
    cdef public Py_ssize_t sharers
    cdef public double since
    cdef public object splicer
    cdef public unsigned long thread
    cdef public object timers

    cdef _schedule(self)
    cdef bint _is_quiet(self)
    cpdef defer(self, job)
    cpdef flow(self)
    cpdef unflow(self)
