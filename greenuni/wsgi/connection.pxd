from greenuni.http.connection cimport Connection as Wire
from greenuni.http.request cimport Request
from greenuni.wsgi.application cimport Call
from greenuni.wsgi.environ cimport EnvironFactory, Peer
from greenuni.wsgi.link cimport Link
from greenuni.wsgi.output cimport Output
from greenuni.wsgi.runner cimport Job
from greenuni.wsgi.services cimport Services

cdef class Connection(Job):
    cdef Services _services
    cdef Link _link
    cdef EnvironFactory _environs
    cdef Peer _peer
    cdef Output _output
    cdef Wire _wire
    cdef object _reader
    cdef double _started
    cdef long long _body_seen
    cdef long long _lingered
    cdef readonly object state
    cdef readonly double deadline
    cdef _enter(self, state)
    cpdef expire(self)
    cpdef park(self)
    cdef _receive(self)
    cdef _read(self)
    cdef _wait_for_head(self)
    cdef _wait_for_body(self, reader)
    cdef _watch_input(self)
    cdef _dispatch(self, Request request, body, Py_ssize_t body_size)
    cdef _close_reader(self)
    cdef _begin_flush(self)
    cdef _flush(self)
    cdef _finish(self)
    cdef _start_next(self, Wire wire)
    cdef _end_call(self)
    cdef _break_off(self, Call call)
    cdef _refuse(self, int status, detail)
    cdef _linger(self)
    cdef _discard(self)
    cdef _reset(self)
