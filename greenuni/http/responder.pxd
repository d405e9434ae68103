cimport cython

from greenuni.http.connection cimport Connection
from greenuni.http.fields cimport ResponseFields
from greenuni.http.request cimport Request


cdef dict _status_lines
cdef dict _length_lines
cdef list _last_own


# What of a chunk is copied behind its head; see there.
cdef Py_ssize_t SMALL


@cython.freelist(8)
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

    cdef _open(self, Connection connection, Request request)
    @cython.locals(fields=ResponseFields, line=bytes)
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
    @cython.locals(parts=list, count=Py_ssize_t)
    cdef list _send(self, bytes chunk, bint is_last, bytes trailers)
    @cython.locals(fields=ResponseFields, framing_line=bytes, end=bytes, persistent=bint)
    cdef list _begin(self, length)
    @cython.locals(fields=ResponseFields)
    cdef bytes _own_lines(self)
    @cython.locals(fields=ResponseFields)
    cdef _announced_length(self, length)
    cdef _choose_framing(self, bint is_whole, declared)
    cdef _finish(self)
    @cython.locals(wanted="long long")
    cdef _count(self, long long count, bint is_last)
    cdef _break(self, str problem)
    cdef _require_started(self)
    cdef _require_no_head_sent(self)


@cython.locals(responder=Responder)
cpdef Responder new_responder(Connection connection, Request request)
@cython.locals(known=tuple)
cdef bytes _status_line(status, bytes reason)
@cython.locals(line=bytes)
cdef bytes _length_line(length)
@cython.locals(last=tuple)
cdef bytes _own_lines(bytes date)
