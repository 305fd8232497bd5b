cdef class _Deadline:
    cdef object __weakref__
    cdef public object _name
    cdef public object _socket
    cdef public object _timer
    cdef public object seconds


cdef class Watchdog:
    cdef public dict _deadlines
    cdef public object _socket
    cdef public object limits
    cdef public list turns
