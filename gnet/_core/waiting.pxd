from .host cimport Host

cdef int CLOSED, END_TOLD, FINISH_TOLD, SHUT, UNMADE


cdef class Waiting(Host):
    pass
