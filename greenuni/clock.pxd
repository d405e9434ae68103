cdef class Clock:
    cdef object _second
    cdef object _date
    cpdef date(self)
