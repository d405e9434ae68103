cdef enum:
    MOST_FOUND = 256

cdef struct Found:
    int fd
    int mask

cdef class Ready:
    cdef object _poller
    cdef int _epoll  # its descriptor; -1 when it is no epoll
    cdef int _count
    cdef Found _found[MOST_FOUND]
    cpdef int wait(self, double seconds) except -1
    cpdef int fd(self, int index) except -1
    cpdef int mask(self, int index) except -1
    cdef int _keep(self, found) except -1
