cimport cython
from greenuni.asgi.call cimport Call
from greenuni.asgi.channel cimport Channel
from greenuni.asgi.clocks cimport ReadClock, SendClock
from greenuni.asgi.scope cimport Peer
from greenuni.asgi.service cimport Service
from greenuni.http.connection cimport Connection as Wire
from greenuni.http.request cimport Request

cdef double _NEVER
cdef int _IDLE, _HEAD, _STARTING, _BODY, _ANSWER, _HELD, _DISCARD, _LINGER, _CLOSED, _WAITING


@cython.final
cdef class Connection(Channel):
    cdef Service _service
    cdef Peer _peer
    cdef object _transport
    cdef Wire _wire
    cdef Call _cycle
    cdef ReadClock _read_clock
    cdef SendClock _send_clock
    cdef object _writable
    cdef double _request_at
    cdef readonly double idle_since
    cdef int _phase
    cdef int _unfinished
    cdef int _hops
    cdef bint _is_new
    cdef Py_ssize_t _unread
    cdef Request _waiting
    cdef bint _has_eof
    cdef bint _is_reading_paused

    cdef bint _is_closed(self)
    cdef _begin_head(self, double now)
    cdef _advance(self)
    cdef _wait_for_head(self)
    cdef _become_idle(self)
    cdef _start_idle_clock(self, double now)
    cdef _begin_whole_request(self, Request request)
    cdef _start_whole_request(self, Request request)
    cdef bint _must_wait(self, Request request) except -1
    cdef _leave_line(self)
    @cython.locals(cycle=Call)
    cdef _start_cycle(self, Request request)
    cdef _begin_request(self, Request request)
    cdef _become_websocket(self, Request request)
    cdef _receive_body(self, bytes data)
    cdef _end_request(self)
    cdef _hold(self, bytes data)
    cdef _pause_reading(self)
    cdef _resume_reading(self)
    cdef _go_on(self)
    cpdef abort(self)
    cdef _start_over(self)
    cdef _renew(self)
    cdef bint _is_ours(self, Request request, bytes unread) except -1
    cdef bint _goes_to_a_sibling(self) except -1
    cdef _depart(self, int index, bytes unread, int hops)
    cdef _reject(self, error)
    cdef _linger(self)
    cdef _close(self)
    cpdef check(self, double now)
    cpdef start_drain(self)
    cpdef close_idle(self)
    cpdef leave(self)
    cdef _time_out(self)
