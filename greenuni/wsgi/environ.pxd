cimport cython

from greenuni.http.request cimport Request

cdef class Peer:
    cdef readonly object address
    cdef readonly object port
    cdef readonly bint is_trusted

cdef class EnvironFactory:
    cdef readonly object _names
    cdef object _proxies
    cdef list _prefixes
    cdef str _root_path
    cdef dict _template
    cdef dict _trusted
    @cython.locals(port=cython.int)
    cpdef Peer peer(self, address)
    cdef bint _trusts(self, address) except -1
    @cython.locals(environ=dict, target=bytes, method=bytes)
    cpdef dict make(self, Request request, Peer peer, body, Py_ssize_t body_size)
    @cython.locals(path=bytes, query=bytes, text=str)
    cdef _set_target(self, dict environ, Request request, bytes target)
    cdef _below(self, str text)
    cdef _believe(self, dict environ, Request request, Peer peer)
