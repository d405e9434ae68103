cimport cython

cdef class Clock:
    cdef double _second
    cdef bytes _date
    @cython.locals(now=double)
    cpdef bytes date(self)
