# The two steps of every check of a block list, for the modules that are compiled. The rest of a
# block list's rules is Python.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

cdef extern from "Python.h":
    # Cython's own declarations are for references that it counts.
    char* start_of "PyBytes_AS_STRING"(PyObject*)
    Py_ssize_t size_of "PyBytes_GET_SIZE"(PyObject*)
    bint is_ascii "PyUnicode_IS_ASCII"(object)
    const char* text_of "PyUnicode_AsUTF8AndSize"(object, Py_ssize_t*) except NULL

cdef extern from "<arpa/inet.h>":
    int system_pton "inet_pton"(int, const char*, void*)

cdef extern from "<sys/socket.h>":
    int AF_INET
    int AF_INET6

cdef extern from *:
    """
    /* The longest text of an address, and the zero behind it (INET6_ADDRSTRLEN). */
    #define GNET_LONGEST_ADDRESS 46
    """
    enum: LONGEST_ADDRESS "GNET_LONGEST_ADDRESS"


cdef inline bytes packed(str text):
    """The bytes of an address of either family, or ``None`` for what is none"""
    cdef char bare[LONGEST_ADDRESS]
    cdef char key[16]
    cdef const char* start
    cdef const char* zone
    cdef Py_ssize_t size
    if text is None:
        return None
    if not is_ascii(text):
        # Only a zone may have such letters.
        text, zoned, _ = text.partition("%")
        if not zoned or not is_ascii(text) or ":" not in text:
            return None
    start = text_of(text, &size)
    if <Py_ssize_t> strlen(start) != size:
        return None
    if memchr(start, c":", size) == NULL:
        memset(key, 0, 10)
        memset(key + 10, 0xFF, 2)
        if system_pton(AF_INET, start, key + 12) != 1:
            return None
        return PyBytes_FromStringAndSize(key, 16)
    zone = <const char*> memchr(start, c"%", size)
    if zone != NULL:
        size = zone - start
        if size >= LONGEST_ADDRESS:
            return None
        memcpy(bare, start, size)
        bare[size] = 0
        start = bare
    if system_pton(AF_INET6, start, key) != 1:
        return None
    return PyBytes_FromStringAndSize(key, 16)


cdef inline Py_ssize_t place(list edges, bytes key):
    """``bisect_right(edges, key)``, where no one of them has fewer than sixteen bytes"""
    cdef Py_ssize_t low = 0, high = PyList_GET_SIZE(edges), middle
    cdef Py_ssize_t size = PyBytes_GET_SIZE(key)
    cdef const char* wanted = PyBytes_AS_STRING(key)
    cdef PyObject* edge
    cdef int order
    while low < high:
        middle = (low + high) >> 1
        edge = PyList_GET_ITEM(edges, middle)
        order = memcmp(start_of(edge), wanted, 16)
        if order < 0 or (order == 0 and size_of(edge) <= size):
            low = middle + 1
        else:
            high = middle
    return low
