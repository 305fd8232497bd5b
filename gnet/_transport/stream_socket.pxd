# The two system calls that every message takes, for the modules that are compiled.
#
# Python's own recv() and send() spend 2,400 instructions a message on a tuple of arguments, the
# interpreter's lock and a lookup: a third of what echo takes in all. Here the lock is kept, as
# neither call ever blocks: it is held for as long as the kernel copies, at most some 0.1 ms.
# The rest of a wire is stream_socket.py's.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno

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


cdef extern from *:
    """
    #include <errno.h>
    static int gnet_nothing(void) {
        errno = EAGAIN;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    """
    int gnet_nothing() except -1


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


cdef extern from *:
    """
    /* What a read has room for, at the least. glibc takes a block of that size out of the heap, and
     * merges it again, in 700 instructions: a small read is copied out of its room, which then is
     * there for the next one. A large read is given its room, cut down to its bytes. */
    #define GNET_ROOM_BYTES 262144
    #define GNET_COPIED_BYTES 4096
    static PyObject *gnet_room = NULL;

    /* Nobody else's: a signal's handler that runs during a read may read as well. */
    static inline PyObject *gnet_take_room(Py_ssize_t size) {
        PyObject *room = gnet_room;
        gnet_room = NULL;
        if (room != NULL && size <= GNET_ROOM_BYTES)
            return room;
        Py_XDECREF(room);
        return PyBytes_FromStringAndSize(NULL, size > GNET_ROOM_BYTES ? size : GNET_ROOM_BYTES);
    }

    static inline PyObject *gnet_received(PyObject **room, Py_ssize_t count) {
        PyObject *data;
        if (count <= GNET_COPIED_BYTES)
            return PyBytes_FromStringAndSize(PyBytes_AS_STRING(*room), count);
        if (_PyBytes_Resize(room, count) < 0)
            return NULL;
        data = *room;
        *room = NULL;
        return data;
    }

    static inline void gnet_leave_room(PyObject *room) {
        if (room != NULL && gnet_room == NULL && PyBytes_GET_SIZE(room) == GNET_ROOM_BYTES)
            gnet_room = room;
        else
            Py_XDECREF(room);
    }
    """
    PyObject* take_room "gnet_take_room"(Py_ssize_t) except NULL
    bytes received "gnet_received"(PyObject**, Py_ssize_t)
    void leave_room "gnet_leave_room"(PyObject*)
    char* start_of "PyBytes_AS_STRING"(PyObject*)


cdef inline bytes take(object wire, Py_ssize_t size, int flags):
    """What is there; ``None`` if nothing is"""
    cdef Py_ssize_t count
    cdef PyObject* room = take_room(size)
    try:
        while True:
            count = system_recv((<socket> wire).sock_fd, start_of(room), size, flags)
            if count >= 0:
                return received(&room, count)
            if errno == EAGAIN:
                return None
            raise_unless_interrupted()
    finally:
        leave_room(room)


cdef inline bytes receive(object wire, Py_ssize_t size, int flags=0):
    """``wire.recv(size, flags)``"""
    cdef bytes data
    if size <= 0 or not isinstance(wire, socket):
        return wire.recv(size, flags)
    data = take(wire, size, flags)
    if data is None:
        gnet_nothing()
    return data


cdef inline bytes receive_now(object wire, Py_ssize_t size):
    """``wire.recv(size)``; ``None`` if nothing is there"""
    if isinstance(wire, socket):
        return take(wire, size, 0)
    try:
        return wire.recv(size)
    except BlockingIOError:
        return None


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


# -- accepting
#
# Python's own accept() and the initialiser of its socket ask the kernel three times for each
# connection: for the connection, for its name, and not to have it block. Here it is asked once.

cdef extern from *:
    """
    #include <string.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    #include <arpa/inet.h>

    /* The first fields of CPython's PySocketSockObject; gnet_knows() finds out whether they are
     * those of this interpreter. */
    typedef struct {
        PyObject_HEAD
        int sock_fd;
        int sock_family;
        int sock_type;
        int sock_proto;
        void *errorhandler;
        long long sock_timeout;
    } GnetSocketFields;

    /* The type of the listening sockets whose connections are made here. */
    static PyTypeObject *gnet_known = NULL;

    static int gnet_is_known(PyObject *listener) {
        int family = ((GnetSocketFields *)listener)->sock_family;
        return Py_TYPE(listener) == gnet_known && (family == AF_INET || family == AF_INET6);
    }

    /* Look at a socket that Python has made whether its fields are where they are expected. */
    static void gnet_compare(PyObject *listener, PyObject *made, int fd, int family, int proto) {
    #ifdef __linux__
        GnetSocketFields *fields = (GnetSocketFields *)made;
        if (Py_TYPE(made) == Py_TYPE(listener)
                && Py_TYPE(made)->tp_basicsize >= (Py_ssize_t)sizeof(GnetSocketFields)
                && fields->sock_fd == fd && fields->sock_family == family
                && fields->sock_type == SOCK_STREAM && fields->sock_proto == proto
                && fields->sock_timeout == 0)
            gnet_known = Py_TYPE(listener);
    #endif
    }

    static int gnet_accept(int fd, struct sockaddr_storage *peer) {
        socklen_t size = sizeof *peer;
    #ifdef __linux__
        return accept4(fd, (struct sockaddr *)peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    #else
        return accept(fd, (struct sockaddr *)peer, &size);
    #endif
    }

    /* As the listening socket, with a descriptor of its own. */
    static PyObject *gnet_made(PyObject *listener, int fd, PyObject *nothing) {
        GnetSocketFields *like = (GnetSocketFields *)listener, *fields;
        PyObject *made = Py_TYPE(listener)->tp_new(Py_TYPE(listener), nothing, NULL);
        if (made == NULL)
            return NULL;
        if (PySys_Audit("socket.__new__", "Oiii", made, like->sock_family, SOCK_STREAM,
                        like->sock_proto) < 0) {
            Py_DECREF(made);
            return NULL;
        }
        fields = (GnetSocketFields *)made;
        fields->sock_family = like->sock_family;
        fields->sock_type = SOCK_STREAM;
        fields->sock_proto = like->sock_proto;
        fields->sock_timeout = 0;
        fields->sock_fd = fd;
        return made;
    }

    /* An address as Python has it. */
    static PyObject *gnet_address(struct sockaddr_storage *peer) {
        char text[INET6_ADDRSTRLEN];
        if (peer->ss_family == AF_INET) {
            struct sockaddr_in *in = (struct sockaddr_in *)peer;
            inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
            return Py_BuildValue("si", text, ntohs(in->sin_port));
        } else {
            struct sockaddr_in6 *in = (struct sockaddr_in6 *)peer;
            inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
            return Py_BuildValue("siII", text, ntohs(in->sin6_port), ntohl(in->sin6_flowinfo),
                                 (unsigned)in->sin6_scope_id);
        }
    }
    """
    struct sockaddr_storage:
        pass
    bint gnet_is_known(object)
    void gnet_compare(object, object, int, int, int)
    int gnet_accept(int, sockaddr_storage*)
    object gnet_made(object, int, tuple)
    object gnet_address(sockaddr_storage*)

cdef extern from "<unistd.h>":
    int system_close "close"(int)


cdef inline tuple accept(object listener):
    """``listener.accept_wire()``"""
    cdef int fd
    cdef sockaddr_storage peer
    if not isinstance(listener, socket) or not gnet_is_known(listener):
        return accept_and_compare(listener)
    while True:
        fd = gnet_accept((<socket> listener).sock_fd, &peer)
        if fd >= 0:
            break
        raise_unless_interrupted()
    try:
        wire = gnet_made(listener, fd, ())
    except BaseException:
        system_close(fd)
        raise
    # As prepare() does.
    wire._watchers = ()
    return wire, gnet_address(&peer)


cdef inline tuple accept_and_compare(object listener):
    made, remote = listener.accept_wire()
    method = type(listener).accept_wire
    # A class with one of its own wants to make them itself.
    if isinstance(made, socket) and method.__qualname__ == "Wire.accept_wire":
        gnet_compare(listener, made, made.fileno(), made.family, made.proto)
    return made, remote
