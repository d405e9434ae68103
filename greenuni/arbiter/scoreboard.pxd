cdef object _pack_request

cdef class BoardSlot:
    cdef object _memory
    cdef object _at
    cdef object _request_at
    cdef long long[::1] _counts
    cdef readonly object index
    cdef readonly long long requests
    cpdef begin(self, bytes method, bytes path, object in_flight, object since)
    cpdef end(self, long long in_flight)
