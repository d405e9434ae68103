from greenuni.wsgi.application cimport Call
from greenuni.wsgi.loop cimport Handler

cdef class Job(Handler):
    cdef public Call call
    cpdef run(self)
    cpdef resume(self)
    cpdef abandon(self)
