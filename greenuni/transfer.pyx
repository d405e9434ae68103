"""``transfer.py`` in C; see there. The tests hold both to the same answers."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport strerror

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t size, int flags)

cdef enum:
    SIZE = 65536

RECEIVE_SIZE = SIZE

# One for all threads: nothing runs between filling it and copying it, for the interpreter's lock is held.
cdef char _buffer[SIZE]


cpdef maybe_receive(int fd):
    """What there is, ``b""`` at EOF, None when there is nothing yet. Raises ConnectionError."""
    cdef ssize_t count = c_recv(fd, _buffer, SIZE, 0)
    while count < 0 and errno == EINTR:
        count = c_recv(fd, _buffer, SIZE, 0)
    if count >= 0:
        return PyBytes_FromStringAndSize(_buffer, count)
    if errno == EAGAIN:
        return None
    raise _error()


cpdef Py_ssize_t send(int fd, data) except -1:
    """How many bytes the socket took, 0 when it takes none now. Raises ConnectionError."""
    if isinstance(data, bytearray):
        return _send(fd, PyByteArray_AS_STRING(data), PyByteArray_GET_SIZE(data))
    return _send(fd, <bytes?>data, PyBytes_GET_SIZE(data))


cdef Py_ssize_t _send(int fd, const char *data, Py_ssize_t size) except -1:
    cdef ssize_t count = c_send(fd, data, size, 0)
    while count < 0 and errno == EINTR:
        count = c_send(fd, data, size, 0)
    if count >= 0:
        return count
    if errno == EAGAIN:
        return 0
    raise _error()


cdef _error():
    number = errno
    error = OSError(number, strerror(number).decode())  # of the class that stands for the number
    return error if isinstance(error, ConnectionError) else ConnectionError(str(error))
