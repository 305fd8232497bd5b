cdef frozenset KNOWN
cdef int ASYNC_FLAGS

cdef bint _is_plain(object listener)


cdef class EventEmitter:
    cdef dict __dict__
    cdef object __weakref__
    cdef public dict _listeners
    cdef bint _emit(self, event, tuple args) except -1
    cpdef tuple _entries(self, event)
    cpdef _listen(self, event, listener, bint once, bint first)
    cdef _listening(self, event)
    cdef _store(self, event, tuple entries)
