from greenuni.wsgi.connection cimport Connection
from greenuni.wsgi.population cimport Population
from greenuni.wsgi.runner cimport Runner
from greenuni.wsgi.services cimport Services

cdef class Admission:
    cdef Services _services
    cdef Population _connections
    cdef Runner _runner
    cdef object _departures
    cdef Py_ssize_t _room
    cdef Py_ssize_t _callers
    cdef readonly bint waits_inside
    cdef bint _is_crowded
    cdef bint _is_queues_turn
    cdef readonly list doors
    cdef readonly object arrivals
    cpdef listen(self, bint is_open)
    cdef _let_in(self, Connection connection, unread, int hops)
