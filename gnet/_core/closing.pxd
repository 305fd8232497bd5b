from .reading cimport Reading

cdef object CLOSED, CONNECTING, IDLE, OPEN


cdef class Closing(Reading):
    cdef public object _linger_timer
