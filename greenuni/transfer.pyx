"""``transfer.py`` in C; see there. The tests hold both to the same answers."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport strerror

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    ssize_t c_recv "recv"(int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t size, int flags)

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <sys/socket.h>
    #include <unistd.h>

    typedef union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } greenuni_address;

    static int greenuni_accept(int listener, greenuni_address *address)
    {
        socklen_t size = sizeof(*address);
        address->any.sa_family = AF_UNSPEC;
    #ifdef SOCK_NONBLOCK
        return accept4(listener, &address->any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    #else
        int fd = accept(listener, &address->any, &size);
        if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        return fd;
    #endif
    }
    """
    cdef struct in_addr:
        unsigned int s_addr
    cdef struct in6_addr:
        pass
    cdef struct sockaddr:
        int sa_family
    cdef struct sockaddr_in:
        unsigned short sin_port
        in_addr sin_addr
    cdef struct sockaddr_in6:
        unsigned short sin6_port
        unsigned int sin6_flowinfo
        in6_addr sin6_addr
        unsigned int sin6_scope_id
    ctypedef union address_t "greenuni_address":
        sockaddr any
        sockaddr_in v4
        sockaddr_in6 v6
    int AF_INET, AF_INET6
    int c_accept "greenuni_accept"(int listener, address_t *address)
    int c_close "close"(int fd)
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)
    unsigned short ntohs(unsigned short number)
    unsigned int ntohl(unsigned int number)

cdef enum:
    SIZE = 65536
    TEXT_SIZE = 64  # of an address; INET6_ADDRSTRLEN is 46

RECEIVE_SIZE = SIZE

# The last IPv4 address and its text: behind a proxy all connections have the same.
cdef unsigned int _last_number = 0
cdef str _last_text = "0.0.0.0"

# One for all threads: nothing runs between filling it and copying it, for the interpreter's lock is held.
cdef char _buffer[SIZE]


cpdef accept(listener):
    """A non-blocking descriptor of the next connection, and its peer's address. Raises OSError.

    The address is that of ``socket.accept`` for IPv4 and IPv6, and ``""`` for anything else.
    """
    cdef address_t address
    cdef int listening = listener.fileno()
    cdef int fd = c_accept(listening, &address)
    while fd < 0 and errno == EINTR:
        fd = c_accept(listening, &address)
    if fd < 0:
        number = errno
        raise OSError(number, strerror(number).decode())
    return fd, _read_address(&address)


cdef _read_address(const address_t *address):
    cdef char text[TEXT_SIZE]
    if address.any.sa_family == AF_INET:
        return _read_v4(&address.v4), ntohs(address.v4.sin_port)
    if address.any.sa_family == AF_INET6:
        inet_ntop(AF_INET6, &address.v6.sin6_addr, text, TEXT_SIZE)
        return (
            text.decode("ascii"),
            ntohs(address.v6.sin6_port),
            ntohl(address.v6.sin6_flowinfo),
            address.v6.sin6_scope_id,
        )
    return ""


cdef str _read_v4(const sockaddr_in *address):
    global _last_number, _last_text
    cdef char text[TEXT_SIZE]
    if address.sin_addr.s_addr != _last_number:
        inet_ntop(AF_INET, &address.sin_addr, text, TEXT_SIZE)
        _last_text = text.decode("ascii")
        _last_number = address.sin_addr.s_addr
    return _last_text


cpdef close(int fd):
    """Close it. What goes wrong is of no use to anybody: the descriptor is gone in any case."""
    c_close(fd)


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
