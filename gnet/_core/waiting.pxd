from .host cimport Host

cdef int CLOSED, END_TOLD, FINISH_TOLD, SHUT, UNMADE


cdef class Waiting(Host):
    cdef public double _active
    cdef public double _begun
    cdef public double _ended
    cpdef _counted(self)
    cpdef _stop_idle_timer(self)
