from .._values cimport packed
from .rule_store cimport RuleStore


cdef class BlockList:
    cdef dict __dict__
    cdef object __weakref__
    cdef bint _allows
    cdef public RuleStore _store
    cdef public object _watch
