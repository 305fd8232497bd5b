cdef class Pipe:
    cdef public bint _draining
    cdef public object _generation
    cdef public object _user
    cdef public object _write
    cdef public object destination
    cdef public bint end
    cdef public object source
