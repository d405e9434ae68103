from greenuni.asgi.input cimport Input
from greenuni.asgi.output cimport Output
from greenuni.asgi.scope cimport Peer
from greenuni.asgi.service cimport Service
from greenuni.http.connection cimport Connection as Wire
from greenuni.http.request cimport Request


cdef class TransportUser:
    cpdef connection_made(self, transport)
    cpdef data_received(self, bytes data)
    cpdef bint eof_received(self) except -1
    cpdef connection_lost(self, error)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cpdef flushed(self)


cdef class Carrier(TransportUser):
    cdef readonly Service service
    cdef readonly Peer peer
    cdef readonly Input input
    cdef readonly Output output
    cdef public double idle_since

    cpdef start_drain(self)
    cpdef upgrade(self, Wire wire, Request request, double started_at)
    cpdef linger(self)
    cpdef close(self)
    cpdef abort(self)


cdef class Channel:
    cdef readonly Output output

    cpdef ask_for_body(self)
    cpdef response_ended(self)
    cpdef refuse(self, int status, str detail)
    cpdef break_off(self, bint must_reset)
    cpdef call_finished(self)
