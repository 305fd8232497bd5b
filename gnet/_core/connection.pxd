cimport cython

from .._transport cimport stream_socket
from .dispatcher cimport Dispatcher
from .ledger cimport Ledger
from .rare cimport Rare
from .reading cimport Reading

cdef int CLOSED, CONNECTING, END_MET, FAILED, HALF_OPEN, HASTY, IDLE, LEFT, LISTENERS, OPEN, QUEUED
cdef int SHARED, SHUT, UNMADE, UNSETTLED, UNWATCHED, WAITING, WRITABLE


cdef class Connection(Reading):
    cdef public object _local
    cdef public Rare _rare
    cdef public object _remembered
    cdef public object _remote
    cdef public object _signal
    cdef public object _tls
    cdef _listening(self, event)
    cpdef bint _holds(self)
    cdef int _facts(self)
    cdef bint _must_keep(self)
    cpdef _local_name(self)
    cdef _be_new(self, Dispatcher loop, high_water_mark)
    cpdef _renew(self, Dispatcher loop)
    cdef _come_in(self, Dispatcher loop, server, wire, local, remote)
    cpdef tuple _counts(self)
    @cython.locals(ledger=Ledger)
    cpdef _deliver_close(self)
    cdef list _dismantle(self)
    cpdef _dismantle_rare(self, Rare rare)
    cpdef Rare _need_rare(self)
    cpdef bint _ends_unheard(self, str event)
    cdef bint _failed_idle(self)
    cdef _listeners_changed(self)
    cdef bint _survives(self, error)
    cpdef _publish_closed(self)
    cpdef _release(self)
    cpdef _stop_timers(self)
