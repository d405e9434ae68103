cimport cython
from greenuni.asgi.channel cimport Channel

cdef int _ARRIVING, _ARRIVED, _TAKEN


@cython.final
cdef class Inbox:
    cdef Channel _channel
    cdef object _runtime
    cdef bytes _whole
    cdef list _chunks
    cdef object _waiting
    cdef int _body
    cdef bint _is_disconnected
    cdef readonly bint has_told
    cdef readonly Py_ssize_t size

    cpdef feed(self, bytes data)
    cpdef end(self)
    cpdef disconnect(self)
    cpdef close(self)
    cdef _wake(self)
    cpdef ask(self)
    cpdef next(self)
    cdef dict _take(self)
    cpdef waiting(self)
