cimport cython
from greenuni.asgi.service cimport Service
from greenuni.http.proxy cimport is_forwarded
from greenuni.http.request cimport Request


@cython.final
cdef class Peer:
    cdef readonly object client
    cdef readonly object server
    cdef readonly bint is_trusted


cdef dict _METHODS
cdef dict _TEMPLATE
cdef dict _ASGI

@cython.locals(name=bytes, value=bytes, member=bytes)
cpdef bint accepts_trailers(Request request) except -1
@cython.locals(headers=list, scope=dict, is_current=bint)
cpdef dict build_scope(Request request, Peer peer, Service service)
cdef dict _extensions(Request request, bint is_current)
