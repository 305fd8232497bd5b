from .writing cimport Writing

cdef int END_MET, LEFT, OPEN, SHUT


cdef class Departure(Writing):
    cdef public object _peer
