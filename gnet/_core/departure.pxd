from .writing cimport Writing


cdef class Departure(Writing):
    cdef public object _peer
    cdef public bint _read_ended
