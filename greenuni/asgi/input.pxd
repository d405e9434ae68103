cimport cython

cdef double _NEVER


@cython.final
cdef class Input:
    cdef object _transport
    cdef object _deadlines
    cdef double _paused_at
    cdef readonly double deadline
    cdef public bint has_ended

    cpdef wait_for_head(self, double now)
    cpdef wait_for_body(self, double now)
    cpdef wait(self, double until)
    cpdef stop(self)
    cpdef body_received(self, Py_ssize_t count, double now)
    cpdef bint is_late(self, double now) except -1
    cpdef pause(self)
    cpdef resume(self)
