"""``readiness.py`` in C; see there. The tests hold both to the same answers."""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.limits cimport INT_MAX
from libc.math cimport ceil
from libc.string cimport strerror

import select

cdef extern from *:
    """
    #ifdef __linux__
    #include <sys/epoll.h>
    #define GREENUNI_HAS_EPOLL 1
    typedef struct epoll_event greenuni_event;
    #define greenuni_epoll_wait epoll_wait
    #else
    #define GREENUNI_HAS_EPOLL 0
    typedef struct { unsigned events; struct { int fd; } data; } greenuni_event;
    #define greenuni_epoll_wait(fd, events, most, milliseconds) (-1)
    #endif
    """
    ctypedef struct event_data:
        int fd
    ctypedef struct event_t "greenuni_event":
        unsigned int events
        event_data data
    bint HAS_EPOLL "GREENUNI_HAS_EPOLL"
    int c_wait "greenuni_epoll_wait"(int fd, event_t *events, int most, int milliseconds) nogil

MOST = MOST_FOUND  # descriptors found by one wait; the others are found by the next


cdef class Ready:
    """The descriptors that ``poller`` found ready by the last ``wait``."""

    def __init__(self, poller):
        self._poller = poller
        self._epoll = poller.fileno() if HAS_EPOLL and isinstance(poller, select.epoll) else -1
        self._count = 0

    def __repr__(self):
        return f"<Ready by {self._poller!r}>"

    cpdef int wait(self, double seconds) except -1:
        """How many there are; 0 after ``seconds``, and maybe earlier where a signal came."""
        cdef event_t events[MOST_FOUND]
        cdef double milliseconds = ceil(seconds * 1000.0)  # never too early, or a loop would spin
        cdef int timeout = <int>milliseconds if 0.0 <= milliseconds < INT_MAX else INT_MAX
        cdef int count, index
        self._count = 0
        if self._epoll < 0:
            return self._keep(self._poller.poll(seconds))
        with nogil:
            count = c_wait(self._epoll, events, MOST_FOUND, timeout)
        if count < 0:
            if errno != EINTR:
                number = errno
                raise OSError(number, strerror(number).decode())
            PyErr_CheckSignals()
            return 0
        for index in range(count):
            self._found[index] = Found(events[index].data.fd, <int>events[index].events)
        self._count = count
        return count

    cpdef int fd(self, int index) except -1:
        """A descriptor: ``index`` is below what ``wait`` returned."""
        if not 0 <= index < self._count:
            raise IndexError("there is no such descriptor")
        return self._found[index].fd

    cpdef int mask(self, int index) except -1:
        """What it is ready for."""
        if not 0 <= index < self._count:
            raise IndexError("there is no such descriptor")
        return self._found[index].mask

    cdef int _keep(self, found) except -1:
        for fd, mask in found[:MOST_FOUND]:
            self._found[self._count] = Found(fd, mask)
            self._count += 1
        return self._count
