cimport cython

from .._transport cimport stream_socket
from .write_queue cimport WriteQueue
from .endpoint cimport Endpoint

cdef int CONNECTING, ENDING, FINISH_TOLD, LEFT, LISTENERS, OPEN, SENT, SHUT, WRITABLE
cdef Py_ssize_t UNMEASURED_CALLS


cdef class Writing(Endpoint):
    cdef public Py_ssize_t _corked
    cdef public bint _destroy_when_sent
    cdef public list _end_callbacks
    cdef public bint _need_drain
    cdef public WriteQueue _out
    cdef public object _write_watcher
    cdef public long long _written
    cdef public object high_water_mark

    @cython.locals(sent=Py_ssize_t, size=Py_ssize_t)
    cpdef write(self, data, encoding=*, callback=*)

    @cython.locals(sent=Py_ssize_t, size=Py_ssize_t)
    cpdef sendall(self, data, flags=*)
