cdef class Pulse:
    cdef public bint in_app
    cdef public object on_beat
