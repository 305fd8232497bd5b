from .connection cimport Connection
from .rare cimport Rare

cdef int CONNECTING, LEFT, OPEN, UNTOLD, WRITABLE


cdef class Losing(Connection):
    cpdef _dismantle_rare(self, Rare rare)
    cpdef _fail(self, error)
    cdef _meet_end(self, str event, bint told)
    cdef bint _survives(self, error)
