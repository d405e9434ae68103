cimport cython
from greenuni.asgi.service cimport Service
from greenuni.http.connection cimport Connection as Wire
from greenuni.http.request cimport Request
from greenuni.http.responder cimport Responder

cdef int _AWAITED, _STARTED, _STREAMING, _FILE, _TRAILING, _ENDED
cdef tuple _EXPECTED
cdef int _START, _HINT, _BODY, _TRAILER, _NOTHING


@cython.final
cdef class Reply:
    cdef Request _request
    cdef Service _service
    cdef list _trailers
    cdef bytes _tail
    cdef readonly Responder responder
    cdef public int stage

    @cython.locals(steps=dict, step=int)
    cpdef list take(self, dict message)
    cpdef list end(self)
    cpdef list start_file(self, long long size)
    cpdef end_file(self)
    cdef _unexpected(self, dict message)
    @cython.locals(service=Service, trailers=bint)
    cdef list _start(self, dict message)
    cdef list _hint(self, dict message)
    cdef list _body(self, dict message)
    cdef list _trailer(self, dict message)
