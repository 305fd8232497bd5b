cdef class EventEmitter:
    cdef dict __dict__
    cdef object __weakref__
    cdef public dict _listeners
