cimport cython
from greenuni.asgi.eager cimport EagerStarts

cdef bint _CAN_START_EAGERLY, _TASKS_TAKE_CONTEXT
cdef object _Task
cdef str _NAME
cdef int _EAGER_LIMIT


@cython.final
cdef class AsyncioRuntime:
    cdef readonly object cancelled
    cdef readonly list companions
    cdef object _loop
    cdef EagerStarts _eager_starts
    cdef int _started

    cpdef spawn(self, context, run)
