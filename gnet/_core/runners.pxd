cdef class Runners:
    cdef public dict _borrowed
    cdef public object _connections
    cdef public dict _running
