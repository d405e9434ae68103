from greenuni.wsgi.connection cimport Connection
from greenuni.wsgi.loop cimport Loop

cdef class Population:
    cdef Loop _loop
    cdef set _connections
    cpdef add(self, Connection connection)
    cpdef discard(self, Connection connection)
    cdef _expire(self, Connection connection)
