cdef class TLSWatcher:
    cdef public tuple _args
    cdef public object _callback
    cdef public int _events
    cdef public object _loop
    cdef public object _other
    cdef public object _source
    cdef public object _wakeup
    cdef public object _wire
