cimport cython
from greenuni.asgi.channel cimport Carrier
from greenuni.asgi.dialogue cimport Dialogue

cdef double _NEVER


@cython.final
cdef class Connection(Carrier):
    cdef Dialogue _dialogue
    cdef bint _is_new
    cdef public int hops
    cdef readonly object transport

    cdef _let_go(self)
    cdef _end(self)
    cpdef depart(self)
    cpdef check(self, double now)
    cdef _check_idle(self, double now)
    cpdef close_idle(self)
    cpdef leave(self)
