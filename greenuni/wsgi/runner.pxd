from greenuni.pulse cimport Pulse
from greenuni.wsgi.application cimport Call
from greenuni.wsgi.isolation cimport run_in_copy
from greenuni.wsgi.job cimport Job

cdef class Runner:
    cdef object _seat
    cdef object _slot
    cdef object _begin
    cdef object _end
    cdef object _context
    cdef long long _retire_at
    cpdef submit(self, Job job)
    cdef _run(self, Job job)
    cdef _ended(self, int in_flight)

cdef class InlineRunner(Runner):
    cdef Call _call
    cdef Pulse _pulse
    cdef readonly double since
    cdef public object relief
    cdef public bint is_unwatched
    cdef public bint is_relieved
