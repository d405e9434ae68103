cimport cython
from greenuni.asgi.service cimport Service

cdef int _AWAITED, _STARTED, _STREAMING, _FILE, _TRAILING, _ENDED
cdef int _START, _HINT, _BODY, _TRAILER, _NOTHING


@cython.final
@cython.freelist(64)
cdef class Reply:
    cdef object _request
    cdef Service _service
    cdef list _trailers
    cdef readonly object responder
    cdef public int stage

    @cython.locals(step=int)
    cpdef list take(self, message)
    cpdef list end(self)
    cpdef list start_file(self, long long size)
    cpdef end_file(self)
    cdef _unexpected(self, message)
    cdef list _start(self, message)
    cdef list _hint(self, message)
    cdef list _body(self, message)
    cdef list _trailer(self, message)
