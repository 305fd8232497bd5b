from .held cimport Held

# So they are variables of C's, as in the modules below: each use is a lookup by name otherwise.
cdef int CLOSED, CONNECTING, HANDLER, IDLE, LEFT, LEFT_BY_HANDLER, LISTENERS, OPEN, SHUT, UNMADE


cdef class Host(Held):
    cdef public list _blocked
    cdef public object _error
    cdef public object _failed_wire
    cdef public Py_ssize_t _generation
    cdef public bint _heard
    cdef public object _idle
    cdef public int _life
    cdef public int _owner
    cdef public object _reader
    cdef public int _receiving
    cdef public int _sending
    cdef public object _timeout
    cdef public list _waits
    cdef public object _watchdog
    cdef public object _wire
    cdef public object server
    cdef bint _never_waits(self)
