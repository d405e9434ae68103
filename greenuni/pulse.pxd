cdef class Pulse:
    cdef public bint in_app
