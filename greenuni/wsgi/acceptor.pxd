from greenuni.transfer cimport accept
from greenuni.wsgi.door cimport Door
from greenuni.wsgi.environ cimport EnvironFactory

cdef class Acceptor(Door):
    cdef EnvironFactory _environs
    cdef object _accepted
    cdef object _siblings
    cdef object _held
