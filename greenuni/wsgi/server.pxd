from greenuni.wsgi.connection cimport Connection
from greenuni.wsgi.loop cimport Loop
from greenuni.wsgi.runner cimport Runner
from greenuni.wsgi.services cimport Services

cdef class Server:
    cdef object _seat
    cdef object _orders
    cdef object _drain
    cdef object _wakeup
    cdef object _returns
    cdef readonly Loop _loop
    cdef readonly object _connections
    cdef object _threads
    cdef Runner _runner
    cdef readonly Services _services
    cdef readonly object _overseer
    cdef readonly object _departures
    cdef object _places
    cdef readonly list _acceptors
    cdef readonly object _arrivals
    cdef list _doors
    cdef readonly object _relief
    cdef Py_ssize_t _room
    cdef Py_ssize_t _callers
    cdef bint _waits_inside
    cdef bint _is_crowded
    cdef bint _is_queues_turn
    cdef _admit_one(self, Connection connection)
