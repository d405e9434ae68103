cimport cython


@cython.final
cdef class RequestControl:
    cdef int _fd
    cdef object _gateway
    cdef readonly double extended_until
    cdef readonly bint is_unwanted
    cpdef end(self)
