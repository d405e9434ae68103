cimport cython

cdef double _NEVER


@cython.final
cdef class ReadClock:
    cdef object _deadlines
    cdef double _paused_at
    cdef readonly double deadline

    cpdef wait_for_head(self, double now)
    cpdef wait_for_body(self, double now)
    cpdef wait(self, double until)
    cpdef stop(self)
    cpdef body_received(self, Py_ssize_t count, double now)
    cpdef pause(self, double now)
    cpdef resume(self, double now)
    cpdef bint has_passed(self, double now) except -1


@cython.final
cdef class SendClock:
    cdef long long _written
    cdef long long _taken
    cdef double _deadline
    cdef double _timeout

    cpdef written(self, Py_ssize_t count)
    cpdef bint has_passed(self, Py_ssize_t buffered, double now) except -1
