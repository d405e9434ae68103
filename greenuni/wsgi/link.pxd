cdef class Link:
    cdef object _sock
    cdef object _poller
    cdef int _watched
    cdef readonly int fd
    cpdef watch(self, int mask)
    cpdef close(self)
