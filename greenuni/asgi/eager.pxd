cimport cython
from greenuni.asgi.lending cimport count_ties, step

cdef bint _TASKS_TAKE_CONTEXT
cdef str _NAME
cdef object _Task, _current_tasks, _enter_task, _leave_task, _OVER


@cython.final
cdef class EagerStarts:
    cdef object _loop
    cdef Loan _spare

    cpdef bint can_start(self) except -1
    @cython.locals(loan=Loan, is_over=bint)
    cpdef start(self, context, run)


@cython.final
cdef class Loan:
    cdef Remainder remainder
    cdef object task
    cdef Py_ssize_t _ties

    cdef bint is_new(self) except -1


@cython.final
cdef class Remainder:
    cdef object _context
    cdef object _run
    cdef object _awaited
    cdef readonly object error
    cdef bint _is_blocking
    cdef bint _has_asked
    cdef bint _is_over
    cdef readonly bint has_ended

    cdef bint begin(self, context, run) except -1
    cdef _ask(self)
