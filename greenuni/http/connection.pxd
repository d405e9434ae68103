from greenuni.http.limits cimport Limits
from greenuni.http.reference cimport Engine
from greenuni.http.request cimport Request
from greenuni.http.states cimport Sides


cdef class Connection(Sides):
    cdef readonly Engine engine
    cdef readonly bint they_are_waiting_for_100_continue
    cdef Limits _limits
    cdef bytearray _buffer
    cdef bytes _head
    cdef bint _eof
    cdef object _fault
    cdef object _head_guard
    cdef object _message
    cdef object _chunked_guard
    cdef object _remaining
    cdef Request _ahead
    cdef Request _request

    cdef _forget_message(self)
    cpdef receive_data(self, bytes data)
    cpdef Request take(self, bytes data)
    cdef bint _is_between_requests(self)
    cdef _take_whole(self, Request request, bytes data)
    cpdef next_event(self)
    cpdef bint start_next_cycle(self) except -1
    cpdef bint response_started(self, bint close) except -1
    cpdef response_ended(self)
    cpdef response_broken(self)
    cpdef informational_sent(self)
