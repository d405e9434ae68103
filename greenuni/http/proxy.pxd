cimport cython

cdef bytes _FORWARDED_FOR, _FORWARDED_PROTO

@cython.locals(name=bytes, item=tuple)
cpdef bint is_forwarded(list headers) except -1
