from .._transport cimport stream_socket

# So they are variables of C's: each use is a lookup by name otherwise.
cdef Py_ssize_t CIPHER_BYTES, MAX_ANSWER_BYTES, MAX_FEEDS, RECORD_BYTES

cdef class TLSEngine:
    cdef public Py_ssize_t _answered
    cdef public Py_ssize_t _begun
    cdef public object _cipher
    cdef public bint _deaf
    cdef public Py_ssize_t _done
    cdef public bint _end
    cdef public object _error
    cdef public object _flusher
    cdef public bint _hungry
    cdef public object _incoming
    cdef public bytearray _kept
    cdef public bint _more
    cdef public bint _mute
    cdef public object _outgoing
    cdef public Py_ssize_t _owed
    cdef public object _raw
    cdef public object _read
    cdef public object _session
    cdef public object _session_listener
    cdef public object _write
    cdef public object engine
    cdef public bint established
    cdef public object inner
    cdef public bint strict
    cdef public bint stuck
    cdef public bint truncated
    cdef _answer(self)
    cdef Py_ssize_t _collect(self) except -1
    cdef _count(self, cipher, Py_ssize_t sent)
    cdef Py_ssize_t _decrypt(self, list parts, Py_ssize_t size) except -1
    cdef Py_ssize_t _encrypt(self, data, Py_ssize_t start, Py_ssize_t size) except -1
    cdef _feed(self)
    cdef bint _flush(self) except -1
    cdef bint _flush_explained(self) except -1
