cdef class Limits:
    cdef readonly long long request_line
    cdef readonly long long fields
    cdef readonly long long field_size
    cdef readonly long long body
