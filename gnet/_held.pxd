from . cimport _wire
from ._dispatch cimport Dispatcher
from .emitter cimport EventEmitter


cdef class Held(EventEmitter):
    cdef public bint _holding
    cdef public Dispatcher _loop
    cdef public bint _refed
