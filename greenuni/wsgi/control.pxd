cimport cython


# Without the collector: it leads to the gateway, which leads to no request.
@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class RequestControl:
    cdef int _fd
    cdef object _gateway
    cdef readonly double extended_until
    cdef readonly bint is_unwanted
    cdef _open(self, int fd, gateway)
    cpdef end(self)


@cython.locals(control=RequestControl)
cpdef RequestControl new_control(int fd, gateway)
