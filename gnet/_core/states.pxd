# The step of every event, with its rungs as numbers of C's.

cdef dict _steps

cpdef tuple step(str event, int life, int receiving, int sending, int owner, int facts)
