from .address_table cimport AddressTable


cdef class RuleStore:
    cdef dict _before
    cdef object _changes
    cdef object _changing
    cdef dict _deadlines
    cdef list _due
    cdef object _hits
    cdef object _soonest
    cdef AddressTable _table
    cdef public dict notes
    cdef public dict rules

    cdef bint holds(self, bytes key) except -1
