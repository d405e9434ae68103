from greenuni.transfer cimport accept
from greenuni.wsgi.environ cimport EnvironFactory
from greenuni.wsgi.loop cimport Handler, Loop

cdef class Acceptor(Handler):
    cdef Loop _loop
    cdef object _listener
    cdef EnvironFactory _environs
    cdef object _accepted
    cdef object _log
    cdef object _siblings
    cdef object _held
    cdef bint _is_listening
    cdef double _paused_until
    cdef double _silent_until
    cpdef listen(self, bint wanted)
    cdef _go_to_the_end(self)
    cdef _pause(self, error)
