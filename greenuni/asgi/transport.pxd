cimport cython
from greenuni.asgi.channel cimport TransportUser
from greenuni.transfer cimport maybe_receive, send

cdef int _READ, _WRITE
cdef TransportUser _NOBODY
cdef int _OPEN, _FINISHING, _FINISHED, _CLOSING, _CLOSED, _LOST
cdef int _READING, _PAUSED, _AT_EOF


cdef class Pollable:
    cpdef ready(self, int mask)


@cython.final
cdef class Sockets:
    cdef readonly object log
    cdef object _call_soon
    cdef object _poller
    cdef readonly dict _watched
    cdef list _unsettled

    @cython.locals(watched=dict, pollable=Pollable, mask=int)
    cpdef turn(self)
    cpdef watch(self, int fd, int before, int mask, pollable)
    cdef settle_soon(self, SocketTransport transport)
    @cython.locals(transport=SocketTransport)
    cpdef _settle(self)


@cython.final
cdef class SocketTransport(Pollable):
    cdef Sockets _sockets
    cdef object _socket
    cdef TransportUser _user
    cdef object _error
    cdef object _backlog
    cdef Py_ssize_t _buffered
    cdef int _fd
    cdef int _stage
    cdef int _reading
    cdef int _watched
    cdef bint _is_full

    @cython.locals(user=TransportUser)
    cpdef start(self, bytes unread=*)
    cpdef set_user(self, TransportUser user)
    @cython.locals(user=TransportUser)
    cdef settle(self)
    cdef _fail(self)
    @cython.locals(user=TransportUser)
    cdef _read(self)
    cpdef pause_reading(self)
    cpdef resume_reading(self)
    cdef _watch(self)
    cpdef writelines(self, list parts)
    cdef Py_ssize_t _send(self, list parts) except -1
    cdef _keep(self, list parts, Py_ssize_t sent)
    cdef _flush(self)
    cdef _flushed(self)
    cpdef write_eof(self)
    cdef _shut(self)
    cpdef Py_ssize_t get_write_buffer_size(self)
    cpdef close(self)
    cpdef abort(self)
    cdef _end(self, error)
