from .writing cimport Writing

cdef int END_MET, LEFT, OPEN, SHUT


cdef class Departure(Writing):
    cdef public object _peer
    cdef _leave_peer(self, peer)
    cpdef _note_peer_end(self)
    cpdef _peer_has_ended(self)
