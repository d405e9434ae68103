cimport cython
from greenuni.clock cimport Clock


@cython.final
cdef class Population:
    cdef readonly dict connections
    cdef readonly set running
    cdef public object on_change
    cdef readonly Py_ssize_t capacity
    cdef Py_ssize_t _most_connections
    cdef bint _admits_when_full

    cpdef bint has_room(self) except -1
    cpdef add(self, connection)
    cpdef remove(self, connection)


cdef class Service:
    cdef readonly object seat
    cdef readonly object app
    cdef readonly object runtime
    cdef readonly object context
    cdef readonly dict state
    cdef readonly object access
    cdef readonly str root_path
    cdef readonly Clock clock
    cdef readonly object limits
    cdef readonly object proxies
    cdef readonly object engine
    cdef readonly object deadlines
    cdef readonly Population population
    cdef object _file_readers
    cdef public object ways_out
    cdef readonly bint is_shared
    cdef readonly bint is_leaving
    cdef readonly bint is_draining
    cdef readonly bint closes
    cdef readonly object farewell
    cdef readonly long long disconnects
    cdef object _on_disconnect
    cdef readonly object line
    cdef readonly bint is_full
    cdef readonly bint keeps_streams
    cdef bint _admits_soon
    cdef object _slot
    cdef long long _requests_left

    cpdef request_started(self, call, bytes method, bytes path, double since)
    cpdef request_finished(self, call)
