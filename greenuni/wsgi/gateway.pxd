from greenuni.clock cimport Clock

cdef class Gateway:
    cdef readonly object app
    cdef readonly object log
    cdef readonly bint sendfile
    cdef public bint closes
    cdef public bint is_leaving
    cdef readonly bint keeps_streams
    cdef readonly bint is_timed
    cdef public Clock clock
