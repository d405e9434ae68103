from greenuni.wsgi.application cimport Call
from greenuni.wsgi.loop cimport Handler

cdef class Job(Handler):
    cdef public Call call
    cpdef run(self)
    cpdef resume(self)
    cpdef abandon(self)

cdef class Runner:
    cdef object _seat
    cdef object _slot
    cdef object _begin
    cdef object _context
    cdef object _retire_at
    cpdef submit(self, Job job)
    cdef _run(self, Job job)
    cdef _ended(self, int in_flight)

cdef class InlineRunner(Runner):
    cdef Call _call
    cdef object _pulse
    cdef double _since
