cpdef accept(listener)
cpdef close(int fd)
cpdef maybe_receive(int fd)
cpdef Py_ssize_t send(int fd, data) except -1
