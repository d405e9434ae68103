cimport cython
from greenuni.asgi.service cimport Service


@cython.final
cdef class Peer:
    cdef readonly object client
    cdef readonly object server
    cdef readonly bint is_trusted


cpdef bint accepts_trailers(request) except -1
cpdef dict build_scope(request, Peer peer, Service service)
cdef dict _extensions(request)
