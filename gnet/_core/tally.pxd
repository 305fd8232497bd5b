cimport cython

from .connection cimport Connection
from .outbox cimport Outbox


@cython.locals(
    sock=Connection, out=Outbox, place=Py_ssize_t, size=Py_ssize_t, longest=Py_ssize_t,
    queued="long long", bytes_in="long long", bytes_out="long long",
)
cpdef tally(list sockets, leaving, double now, bounds)
