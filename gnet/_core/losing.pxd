from .connection cimport Connection

cdef int CONNECTING, LEFT, OPEN, UNTOLD, WRITABLE


cdef class Losing(Connection):
    pass
