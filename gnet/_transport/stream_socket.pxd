# The two system calls that every message takes, for the modules that are compiled.
#
# Python's own recv() and send() spend 2,400 instructions a message on a tuple of arguments, the
# interpreter's lock and a lookup: a third of what echo takes in all. Here the lock is kept, as
# neither call ever blocks: it is held for as long as the kernel copies, at most some 0.1 ms.
# The rest of a wire is stream_socket.py's.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.errno cimport EINTR, errno

cdef extern from "Python.h":
    # Cython's own declarations are for objects that are complete.
    PyObject* new_bytes "PyBytes_FromStringAndSize"(char*, Py_ssize_t) except NULL
    char* start_of "PyBytes_AS_STRING"(PyObject*)
    int resize_bytes "_PyBytes_Resize"(PyObject**, Py_ssize_t) except -1

cdef extern from "<sys/socket.h>":
    Py_ssize_t system_recv "recv"(int, void*, size_t, int)
    Py_ssize_t system_send "send"(int, const void*, size_t, int)

cdef extern from *:
    """
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    """
    int MSG_NOSIGNAL

cdef extern from *:
    """
    typedef struct { PyObject_HEAD int sock_fd; } GnetSocketHead;
    """
    # The first field of every version's PySocketSockObject.
    ctypedef class _socket.socket [object GnetSocketHead, check_size ignore]:
        cdef int sock_fd


cdef extern from "pythread.h":
    unsigned long system_ident "PyThread_get_thread_ident"()


cdef extern from *:
    """
    #include <time.h>
    #if defined(CLOCK_MONOTONIC_COARSE)
    #define GNET_CLOCK CLOCK_MONOTONIC_COARSE
    #elif defined(__APPLE__)
    #define GNET_CLOCK CLOCK_UPTIME_RAW
    #else
    #define GNET_CLOCK CLOCK_MONOTONIC
    #endif
    static inline double gnet_now(void) {
        struct timespec now;
        clock_gettime(GNET_CLOCK, &now);
        return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
    }
    """
    double gnet_now()


cdef inline double coarse_now():
    """``time.monotonic()``, some milliseconds ago perhaps: it costs a fifth of that."""
    return gnet_now()


cdef inline unsigned long this_thread():
    """The number of the calling thread"""
    return system_ident()


cdef inline int raise_unless_interrupted() except -1:
    """Raise what ``errno`` says, or what a signal's handler raises (PEP 475)."""
    if errno != EINTR:
        PyErr_SetFromErrno(OSError)
    PyErr_CheckSignals()
    return 0


cdef inline bytes receive(object wire, Py_ssize_t size, int flags=0):
    """``wire.recv(size, flags)``"""
    cdef Py_ssize_t count
    cdef PyObject* data
    if size <= 0 or not isinstance(wire, socket):
        return wire.recv(size, flags)
    data = new_bytes(NULL, size)
    try:
        while True:
            count = system_recv((<socket> wire).sock_fd, start_of(data), size, flags)
            if count >= 0:
                break
            raise_unless_interrupted()
        resize_bytes(&data, count)
        return <bytes> data
    finally:
        Py_XDECREF(data)


cdef inline Py_ssize_t send(object wire, object data, int flags=0) except? -1:
    """``wire.send(data, flags)``"""
    cdef Py_ssize_t count
    if type(data) is not bytes or not isinstance(wire, socket):
        return wire.send(data, flags | MSG_NOSIGNAL)
    while True:
        count = system_send(
            (<socket> wire).sock_fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data),
            flags | MSG_NOSIGNAL,
        )
        if count >= 0:
            return count
        raise_unless_interrupted()
