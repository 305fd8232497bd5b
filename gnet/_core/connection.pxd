from .._transport cimport stream_socket
from .reading cimport Reading

cdef int CLOSED, CONNECTING, END_MET, FAILED, HALF_OPEN, HASTY, IDLE, LEFT, LISTENERS, OPEN, QUEUED
cdef int SENT, SHARED, SHUT, UNMADE, UNWATCHED, WRITABLE


cdef class Connection(Reading):
    cdef public object _local
    cdef public object _rare
    cdef public object _remembered
    cdef public object _remote
    cdef public object _signal
