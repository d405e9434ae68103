from greenuni.wsgi.runner cimport Job, Runner

cdef class ThreadRunner(Runner):
    cdef object _returns
    cdef object _log
    cdef dict _running
    cdef object _jobs
    cdef list _threads
    cpdef taken_back(self, Job job)
