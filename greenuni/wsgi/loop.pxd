cimport cython

from greenuni.readiness cimport Ready

cdef class Handler:
    cpdef on_event(self, int mask)
    cpdef close(self)

cdef class Loop:
    cdef object _log
    cdef object _on_tick
    cdef object _on_interrupt
    cdef object _after_turn
    cdef object _soon
    cdef double _stalled
    cdef double _next_tick
    cdef bint _is_interrupted
    cdef readonly bint is_stopping
    cdef readonly dict handlers
    cdef readonly double now
    cdef readonly object poller
    cdef Ready _ready
    cdef public double tick_interval
    cpdef soon(self, Handler handler)
    cpdef stop(self)
    cpdef interrupt(self)
    @cython.locals(index=int, mask=int, handler=Handler, ready=Ready)
    cdef _handle(self, int count)
    @cython.locals(handler=Handler)
    cdef _run_soon(self)
    cdef _obey(self)
    cpdef close_failed(self, Handler handler, error)
