cimport cython

# Without the collector: from here on there are octets and numbers only, which lead back to nothing.


@cython.no_gc
cdef class Fields:
    cdef list _pairs

    cpdef list pairs(self)
    cpdef add_variables(self, dict environ, names)


@cython.no_gc
@cython.freelist(8)
cdef class Request:
    cdef readonly bytes method
    cdef readonly bytes target
    cdef readonly bytes http_version
    cdef readonly bytes raw_path
    cdef readonly bytes path
    cdef readonly bytes query
    cdef readonly object content_length
    cdef readonly bint chunked
    cdef readonly bint has_body
    cdef readonly bint expect_continue
    cdef readonly bint keep_alive
    cdef readonly bint is_websocket
    cdef readonly bytes body
    cdef readonly Py_ssize_t size
    cdef readonly Fields fields

    cpdef add_variables(self, dict environ, names)
    cpdef find_body(self, bytes data)
