from .._transport cimport stream_socket
from .outbox cimport Outbox
from .waiting cimport Waiting

cdef int ENDING, FINISH_TOLD, LEFT, OPEN, SENT, SHUT, UNTOLD, WRITABLE


cdef class Sending(Waiting):
    cdef public bint _destroy_when_sent
    cdef public list _end_callbacks
    cdef public Outbox _outbox
    cdef public long long _unsent
    cdef public object _write_watcher
    cdef public long long _written
    cdef public object high_water_mark
    cpdef _deliver_finish(self)
    cdef list _drop_queued(self)
    cdef _emptied(self)
    cpdef _flush(self)
    cpdef _heard_finish(self)
    cdef bint _may_end(self)
    cpdef _send_end(self)
    cpdef _tell_finish(self)
