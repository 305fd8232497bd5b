# Cython gives an object its dictionary with the object: 64 bytes for each connection, and a look
# into it ahead of each of its methods. Without one it gets it as in Python, when it needs it.

cdef extern from *:
    """
    static void gnet_forget_dict(PyObject *made) {
        PyObject **place = _PyObject_GetDictPtr(made);
        if (place != NULL && *place != NULL && PyDict_CheckExact(*place)
                && PyDict_GET_SIZE(*place) == 0)
            Py_CLEAR(*place);
    }
    """
    void gnet_forget_dict(object)


cdef inline forget_dict(object made):
    gnet_forget_dict(made)
