from . cimport _wire
from ._flowing cimport Flowing

cdef object CONNECTING


cdef class Reading(Flowing):
    pass
