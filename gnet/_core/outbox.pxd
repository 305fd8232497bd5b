cdef class Chunk:
    cdef public bint awaited
    cdef public object callback
    cdef public object data
    cdef public bint sent


cdef class Outbox:
    cdef public object _chunks
    cdef public Py_ssize_t awaited
    cdef public Py_ssize_t corks
    cdef public bint full
    cdef public Py_ssize_t peak
    cdef public Py_ssize_t size
