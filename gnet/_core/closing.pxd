from .reading cimport Reading

cdef int CLOSED, END_MET, FAILED, HALF_OPEN, HASTY, LEFT, OPEN, QUEUED, SENT, SHARED, SHUT


cdef class Closing(Reading):
    cdef public object _linger_timer
