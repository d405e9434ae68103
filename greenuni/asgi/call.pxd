cimport cython
from greenuni.asgi.channel cimport Channel
from greenuni.asgi.control cimport RequestControl
from greenuni.asgi.inbox cimport Inbox
from greenuni.asgi.reply cimport Reply
from greenuni.asgi.scope cimport Peer
from greenuni.asgi.service cimport Service
from greenuni.http.connection cimport Connection as Wire
from greenuni.http.request cimport Request

cdef int _PRESENT, _FINISHED, _DISMISSED, _LOST
cdef int _STARTED, _STREAMING, _ENDED


cdef class Call:
    cdef readonly Service service
    cdef readonly Channel channel
    cdef readonly Reply reply
    cdef readonly Inbox inbox
    cdef readonly double started_at
    cdef readonly object task
    cdef Request _request
    cdef Peer _peer
    cdef int _client
    cdef str _client_name
    cdef int _status
    cdef Py_ssize_t _refusal_bytes
    cdef Py_ssize_t _credit
    cdef bint _is_cancelled
    cdef double _extended_until

    cdef start(self)
    cdef peer_finished(self)
    cdef peer_lost(self, int status=*)
    cdef fail(self, int status, str detail)
    cdef _break_off(self, int status)
    cpdef str title(self)
    cdef _raised(self, error)
    cdef _leave(self)
    cdef _record(self)
    @cython.locals(reply=Reply, before=int, parts=list, fields=dict)
    cpdef deliver(self, message)
    @cython.locals(part=bytes)
    cdef _spend(self, list parts)
    cpdef end(self)
