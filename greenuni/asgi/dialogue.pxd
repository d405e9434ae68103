cimport cython
from greenuni.asgi.call cimport Call
from greenuni.asgi.channel cimport Carrier, Channel
from greenuni.asgi.input cimport Input
from greenuni.asgi.service cimport Service
from greenuni.http.connection cimport Connection as Wire
from greenuni.http.request cimport Request

cdef double _NEVER
cdef int _IDLE, _HEAD, _STARTING, _BODY, _ANSWER, _HELD, _DISCARD, _WAITING, _OVER


@cython.final
cdef class Dialogue(Channel):
    cdef Carrier _carrier
    cdef Service _service
    cdef Input _input
    cdef Wire _wire
    cdef Call _cycle
    cdef double _request_at
    cdef Py_ssize_t _discarded
    cdef int _phase
    cdef int _unfinished

    cdef bint is_idle(self)
    cdef bint is_waiting_for_client(self)
    cdef bint has_calls(self)
    cdef receive(self, bytes data)
    cdef bint finish(self) except -1
    cdef bint _is_over(self)
    cdef lose_client(self)
    cdef time_out(self)
    cdef leave(self)
    cdef end(self)
    cdef _begin_head(self)
    cdef _advance(self)
    cdef _wait_for_head(self)
    cdef _become_idle(self)
    cdef _receive_body(self, bytes data)
    cdef _end_request(self)
    cdef _hold(self, bytes data)
    cdef bint _is_to_begin(self, Request request, bytes unread) except -1
    cdef _start_whole_request(self, Request request)
    cdef _begin_request(self, Request request)
    @cython.locals(cycle=Call)
    cdef _start_cycle(self, Request request)
    cdef _go_on(self)
    cdef _start_over(self)
    cdef _renew(self)
    cdef _reject(self, error)
    cdef _close(self)
