cimport cython

from greenuni.http.connection cimport Connection as Wire
from greenuni.http.request cimport Request
from greenuni.http.responder cimport Responder, new_responder
from greenuni.wsgi.application cimport Call, new_call
from greenuni.wsgi.environ cimport EnvironFactory, Peer
from greenuni.wsgi.job cimport Job
from greenuni.wsgi.link cimport Link
from greenuni.wsgi.output cimport Output
from greenuni.wsgi.services cimport Services
from greenuni.transfer cimport maybe_receive

cdef int _IDLE, _HEAD, _BODY, _QUEUED, _RUNNING, _FLUSHING, _LINGERING, _LEAVING, _CLOSED
cdef int[9] _FOLLOWING

@cython.final
cdef class Connection(Job):
    cdef Services _services
    cdef Link _link
    cdef EnvironFactory _environs
    cdef Peer _peer
    cdef Output _output
    cdef Wire _wire
    cdef object _reader
    cdef double _started
    cdef object _lingering
    cdef public int hops
    cdef readonly int state
    cdef readonly double deadline
    cdef _enter(self, int state)
    cpdef arrive(self, bytes unread, int hops)
    cpdef depart(self)
    cpdef hold(self)
    cpdef expire(self)
    cdef bint _is_owed_an_answer(self) except -1
    cpdef park(self)
    cdef _receive(self)
    @cython.locals(services=Services, wire=Wire, request=Request, content=bytes)
    cdef _take(self, bytes data)
    cdef _read(self)
    cdef _route(self, reader)
    cdef _wait_for_head(self)
    cdef _wait_for_body(self, reader)
    cdef _watch_input(self)
    @cython.locals(services=Services, output=Output, environ=dict, responder=Responder)
    cdef _dispatch(self, Request request, body, Py_ssize_t body_size)
    cdef _close_reader(self)
    cdef _begin_flush(self)
    cdef _flush(self)
    @cython.locals(call=Call, wire=Wire)
    cdef _finish(self)
    @cython.locals(services=Services)
    cdef _start_next(self, Wire wire)
    @cython.locals(call=Call)
    cdef _end_call(self)
    cdef _break_off(self, Call call)
    cpdef refuse(self, int status, detail)
    cdef _linger(self)
    cdef _discard(self)
    cdef _reset(self)
