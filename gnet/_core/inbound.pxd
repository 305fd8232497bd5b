from .departure cimport Departure

cdef int DISCARD, END_MET, END_TOLD, FLOW, LEFT, OPEN, SENT, SHUT, UNREAD, UNSETTLED
cdef int UNWATCHED, WRITABLE


cdef class Inbound(Departure):
    cdef public bytearray _ahead
    cdef public object _decoder
    cdef public object _flow
    cdef public object _onread
    cdef public list _pipes
    cdef public object _read_watcher
    cdef public object _serving
    # The three take a word, as bytes: a socket takes 400 bytes with that, and 416 without.
    cdef public unsigned char _more
    cdef public unsigned char _watching
    cdef public bint allow_half_open
    cdef public long long bytes_read
    cpdef bint _ends_unheard(self, str event)
    cpdef _forget_noted(self)
    cpdef _rearm(self)
    cpdef _set_flow(self, flow)
    cpdef _unwatch(self)
    cpdef _serve(self)
    cpdef _watch(self, int whom, callback, tuple args=*)
    cpdef _watch_unread(self)
