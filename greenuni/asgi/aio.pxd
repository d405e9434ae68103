cimport cython

cdef bint _CAN_START_EAGERLY, _TASKS_TAKE_CONTEXT
cdef object _Task
cdef str _NAME


@cython.final
cdef class AsyncioRuntime:
    cdef readonly object cancelled
    cdef object _loop

    cpdef spawn(self, context, run)
