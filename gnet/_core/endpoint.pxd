from .held cimport Held

# So they are variables of C's, as in the modules below: each use is a lookup by name otherwise.
cdef object CLOSED, CONNECTING, IDLE, OPEN


cdef class Endpoint(Held):
    cdef public list _blocked
    cdef public bint _blocking_style
    cdef public bint _close_emitted
    cdef public bint _connected
    cdef public object _error
    cdef public object _failed_wire
    cdef public Py_ssize_t _generation
    cdef public bint _given_up
    cdef public bint _handled
    cdef public bint _heard
    cdef public object _idle
    cdef public str _life
    cdef public object _reader
    cdef public object _timeout
    cdef public list _waits
    cdef public object _watchdog
    cdef public object _wire
    cdef public object server
    cdef bint _never_waits(self)
