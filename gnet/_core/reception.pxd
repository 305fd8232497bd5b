cimport cython

from .connection cimport Connection
from .dispatcher cimport Dispatcher
from .ledger cimport Ledger
from .runners cimport Runners


cdef class Reception:
    cdef public object _entrance
    cdef public bint _handled
    cdef public object _keep
    cdef public object _kind
    cdef public Ledger _ledger
    cdef public object _run
    cdef public Runners _runners
    cdef public bint _secure
    cdef public object _server
    cdef public object _unclaimed
    cdef public bint inherited
    cdef public object local

    cpdef arrive(self, wire, remote)
    @cython.locals(sock=Connection, loop=Dispatcher)
    cpdef take_in(self, wire, local, remote)
