cimport cython


@cython.final
@cython.freelist(64)
cdef class RequestControl:
    cdef object _call
