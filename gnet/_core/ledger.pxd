cimport cython


cdef class Ledger:
    cdef public long long accepted
    cdef public object durations
    cdef public long long failed_handshakes
    cdef public object handshake_seconds
    cdef public long long handshakes
    cdef public long long longest_queue
    cdef public Ledger parent
    cdef public long long pauses
    cdef public dict refused
    cdef public tuple settled

    @cython.locals(ledger=Ledger)
    cpdef accept(self)
    @cython.locals(ledger=Ledger)
    cpdef left(self)
    @cython.locals(ledger=Ledger, place=Py_ssize_t)
    cpdef settle(self, leaving, tuple counts)


cdef class ThreadLedger(Ledger):
    cdef public long long closed_servers
    cdef public object collected
    cdef public dict connect_seconds
    cdef public dict failed
    cdef public long long lost
    cdef public long long made
    cdef public long long servers
    cdef public long long tried
