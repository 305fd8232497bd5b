from .._values cimport packed
from .address_table cimport AddressTable


cdef class BlockList:
    cdef dict __dict__
    cdef object __weakref__
    cdef bint _allows
    cdef dict _before
    cdef object _changes
    cdef object _changing
    cdef dict _deadlines
    cdef list _due
    cdef object _hits
    cdef dict _notes
    cdef dict _rules
    cdef object _soonest
    cdef AddressTable _table
    cdef public object _watch

    cdef bint _holds(self, bytes key) except -1
