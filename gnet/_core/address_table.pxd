from .._values cimport packed


cdef class Part:
    cdef public object change
    cdef public list depths
    cdef public list edges
    cdef public list uses


cdef class AddressTable:
    cdef list _bases
    cdef object _change
    cdef list _firsts
    cdef list _parts

    cpdef bytes edge(self, bytes key)
