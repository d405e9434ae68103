cimport cython


@cython.no_gc
@cython.freelist(8)
cdef class ResponseFields:
    cdef readonly bytes lines
    cdef readonly object content_length
    cdef readonly bint has_date
    cdef readonly bint has_server
    cdef readonly bint wants_close
