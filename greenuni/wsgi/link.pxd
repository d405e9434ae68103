from greenuni.transfer cimport close

cdef class Link:
    cdef bint _is_open
    cdef object _poller
    cdef int _watched
    cdef readonly int fd
    cpdef watch(self, int mask)
    cpdef close(self)
