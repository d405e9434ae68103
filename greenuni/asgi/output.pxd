cimport cython

cdef double _NEVER


@cython.final
cdef class Output:
    cdef object _transport
    cdef object _runtime
    cdef object _writable
    cdef long long _written
    cdef long long _taken
    cdef double _deadline
    cdef double _timeout
    cdef readonly bint is_paused

    cpdef write(self, list parts)
    cpdef pause(self)
    cpdef resume(self)
    cpdef writable(self)
    cpdef bint is_stuck(self, double now) except -1
