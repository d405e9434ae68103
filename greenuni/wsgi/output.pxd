cimport cython

from greenuni.transfer cimport send

cdef class Output:
    cdef readonly int fd
    cdef object _limits
    cdef object _disk
    cdef bytearray _memory
    cdef SpoolFile _file
    cdef FileRegion _region
    cdef readonly double _waited
    cdef readonly bint pending
    cdef readonly long long taken
    cpdef begin(self)
    @cython.locals(sent=Py_ssize_t, data=bytes)
    cpdef write(self, list parts)
    cpdef write_file(self, int fd, long long offset, long long count)
    cpdef flush(self)
    cpdef close(self)
    cdef _close_region(self)
    cdef _write_gathered(self, list parts)
    @cython.locals(sent=Py_ssize_t)
    cdef Py_ssize_t _send(self, data) except -1
    cdef Py_ssize_t _send_region(self, FileRegion region) except -1
    cdef _keep(self, rest)
    cdef bint _wait_for_fast_reader(self) except -1
    cdef _wait_for_reader(self)
    cdef Py_ssize_t _spill(self, rest) except -1

cdef class SpoolFile:
    cdef object _file
    cdef long long _start
    cdef readonly long long end

cdef class FileRegion:
    cdef long long _end
    cdef readonly int fd
    cdef readonly long long offset
    cdef public bint can_sendfile
