from greenuni.wsgi.job cimport Job
from greenuni.wsgi.loop cimport Loop
from greenuni.wsgi.runner cimport Runner

cdef class ThreadRunner(Runner):
    cdef Loop _loop
    cdef object _returns
    cdef object _log
    cdef int _count
    cdef int _limit
    cdef public object on_crowded
    cdef dict _running
    cdef object _jobs
    cdef list _lent
    cdef unsigned long long _calls
    cdef readonly double _mean
    cdef readonly bint _has_deputy
    cdef bint _is_over
    cdef object _failure
    cdef list _threads
    cdef readonly object bell
    cpdef taken_back(self, Job job)
    cdef bint _pick_up(self) except -1
    cdef _call(self, Job job)
    cdef _give_back(self, Job job)
