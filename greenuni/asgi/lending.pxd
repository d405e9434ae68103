cpdef step(context, run)
cpdef Py_ssize_t count_ties(subject) except -1
