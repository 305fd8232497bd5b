from .tls_engine cimport TLSEngine


cdef class TLSWire(TLSEngine):
    cdef public bint PEER_END
    cdef public bint RESET
    cdef public bint SHARED
    cdef public bint TCP_OPTIONS
    cdef public bint UNREAD_RESETS
    cdef public bint _closed
    cdef public list _watchers
    cdef public double seconds
    cdef public object server_name
    cdef bytes _receive(self, Py_ssize_t size)
    cdef bytes _take(self, Py_ssize_t size)
