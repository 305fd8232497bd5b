cdef class Rare:
    cdef public object ancillary
    cdef public object attempted
    cdef public bint close_when_unused
    cdef public object connect_listener
    cdef public object connector
    cdef public object host
    cdef public object linger_timer
    cdef public Py_ssize_t open_files
    cdef public object proxy
    cdef public object redial
    cdef public bint reset
