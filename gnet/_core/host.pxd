cimport cython

from .held cimport Held
from .states cimport step

# So they are variables of C's, as in the modules below: each use is a lookup by name otherwise.
cdef int CLOSED, CONNECTING, HANDLER, IDLE, LEFT, LEFT_BY_HANDLER, LISTENERS, OPEN, SHUT, UNMADE

cdef dict methods


cdef class Host(Held):
    cdef public list _blocked
    cdef public object _error
    cdef public object _failed_wire
    # Beside each other the two take a word.
    cdef public unsigned int _generation
    cdef public bint _heard
    cdef public object _idle
    cdef public int _life
    cdef public int _owner
    cdef public object _reader
    cdef public int _receiving
    cdef public int _sending
    cdef public object _timeout
    cdef public list _waits
    cdef public object _watchdog
    cdef public object _wire
    cdef public object server
    cdef int _facts(self)
    cpdef bint _in_use(self)
    cdef bint _must_keep(self)
    cdef bint _never_waits(self)
    @cython.locals(loop=object)
    cpdef _publish_failed(self)
    cpdef _close_failed(self)
    cpdef _emit_error(self)
    cpdef _fail(self, error)
    cpdef _interrupt(self)
    cpdef _listener_failed(self, exc, Py_ssize_t generation)
    cpdef _own(self, error)
    cpdef _report_unheard(self)
    cpdef _tell_close(self)
    cpdef _tell_close_later(self)
    cpdef _tell_error_later(self)
    cpdef bint _is_blocking(self)
    cpdef bint _is_handlers(self)
    cpdef _shut(self, error=*, bint heard=*)
    cpdef _step(self, str event)
    cpdef _update_kept(self)
