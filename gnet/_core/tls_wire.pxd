from .tls_engine cimport TLSEngine

# So they are variables of C's: each use is a lookup by name otherwise.
cdef Py_ssize_t CIPHER_BYTES, MAX_FEEDS, MAX_SENT_BYTES, RECORD_BYTES
cdef int _DONTWAIT, _HARMLESS, _PEEK

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
    cdef Py_ssize_t _settle(self, Py_ssize_t size) except -1
    cdef bytes _take(self, Py_ssize_t size)
