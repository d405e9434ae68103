from greenuni.wsgi.loop cimport Handler, Loop

cdef class Door(Handler):
    cdef Loop _loop
    cdef object _log
    cdef object _complaint
    cdef readonly bint is_listening
    cdef double _paused_until
    cdef double _silent_until
    cdef readonly object sock
    cpdef listen(self, bint wanted)
    cpdef go_to_the_end(self)
    cpdef was_good(self)
    cpdef pause(self, error)
