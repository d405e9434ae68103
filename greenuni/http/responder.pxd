from greenuni.http.connection cimport Connection
from greenuni.http.fields cimport ResponseFields
from greenuni.http.request cimport Request


cdef class Responder:
    cdef Connection _connection
    cdef Request _request
    cdef ResponseFields _fields
    cdef bytes _line
    cdef bytes _date
    cdef bint _close
    cdef bint _trailers
    cdef object _framing
    cdef long long _seen
    cdef readonly object state
    cdef readonly int status
    cdef readonly bint wants_body
    cdef readonly long long body_bytes

    cpdef start(
        self,
        status,
        headers,
        bytes reason=*,
        bytes date=*,
        bint close=*,
        bint trailers=*,
        bint text=*,
    )
    cpdef list send(self, bytes chunk, bint more=*)
    cpdef list end(self, trailers=*)
    cpdef list passthrough(self, long long count)
    cdef list _send(self, bytes chunk, bint is_last, bytes trailers)
    cdef list _begin(self, length)
    cdef bytes _own_lines(self)
    cdef _announced_length(self, length)
    cdef _choose_framing(self, bint is_whole, declared)
    cdef _finish(self)
    cdef _count(self, long long count, bint is_last)
    cdef _break(self, str problem)
    cdef _require_started(self)
    cdef _require_no_head_sent(self)
