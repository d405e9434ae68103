"""A worker's slot of the scoreboard, compiled: the twin of `slot`, writing through a pointer.

The layout is that of `slot.WHOLE`; the tests run on both. A method or a path is cut to its field, and what is left
of the field is zeroed, so nothing is written or read past either end.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy, memset

from time import monotonic

from greenuni.arbiter.slot import SLOT_SIZE

cdef enum:
    METHOD_SIZE = 16
    PATH_SIZE = 112

cdef struct Slot:
    double beat
    long long state
    long long requests
    long long in_flight
    double since
    char method[METHOD_SIZE]
    char path[PATH_SIZE]

assert sizeof(Slot) == SLOT_SIZE


cdef inline void keep(char* field, Py_ssize_t size, bytes text) noexcept:
    cdef Py_ssize_t length = len(text)
    if length > size:
        length = size
    memcpy(field, <const char*> text, length)
    memset(field + length, 0, size - length)


cdef class BoardSlot:
    """A worker's own slot: implements ``greenuni.shell.Slot``."""

    cdef Py_buffer _view  # holds the memory for as long as this object lives
    cdef Slot* _slot
    cdef readonly Py_ssize_t index
    cdef readonly long long requests

    def __cinit__(self, memory, Py_ssize_t index):
        PyObject_GetBuffer(memory, &self._view, PyBUF_WRITABLE)
        if not 0 <= index < self._view.len // <Py_ssize_t> sizeof(Slot):
            raise IndexError("there is no such slot")
        self._slot = <Slot*> self._view.buf + index
        self.index = index

    def __dealloc__(self):
        PyBuffer_Release(&self._view)

    def beat(self):
        """Say that the loop has turned."""
        self._slot.beat = monotonic()

    def set_state(self, long long state):
        """Show what this worker is doing."""
        self._slot.state = state

    def begin(self, bytes method not None, bytes path not None, long long in_flight, double since):
        """A request starts; method and path are cut to `METHOD_SIZE` and `PATH_SIZE` bytes."""
        self._slot.in_flight = in_flight
        self._slot.since = since
        keep(self._slot.method, METHOD_SIZE, method)
        keep(self._slot.path, PATH_SIZE, path)

    def end(self, long long in_flight):
        """A request has ended; adds one to the total."""
        self.requests += 1
        self._slot.requests = self.requests
        self._slot.in_flight = in_flight

    def __repr__(self):
        return f"<BoardSlot {self.index} requests={self.requests}>"
