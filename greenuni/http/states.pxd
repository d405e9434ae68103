cdef class Step:
    cdef readonly str name
    cdef dict ours
    cdef dict theirs
    cdef object from_ours
    cdef object to_ours
    cdef bint is_last


cdef class Sides:
    cdef readonly object our_state
    cdef readonly object their_state
    cdef bint persistent

    cdef _start(self)
    cpdef advance(self, Step step)
    cdef _advance_ours(self, Step step)
    cpdef disable_persistence(self)
    cpdef next_cycle(self)
    cdef _settle(self)
