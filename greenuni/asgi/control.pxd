cimport cython


@cython.final
cdef class RequestControl:
    cdef object _call
