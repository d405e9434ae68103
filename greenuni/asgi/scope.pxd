cimport cython
from greenuni.asgi.service cimport Service
from greenuni.http.request cimport Request


@cython.final
cdef class Peer:
    cdef readonly object client
    cdef readonly object server
    cdef readonly bint is_trusted


cdef dict _METHODS

@cython.locals(name=bytes, value=bytes, member=bytes)
cpdef bint accepts_trailers(Request request) except -1
cpdef dict build_scope(Request request, Peer peer, Service service)
cdef dict _extensions(Request request)
