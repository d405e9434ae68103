"""What a sanitizer must find: built into the copies of the package that ``building`` makes."""

from libc.limits cimport INT_MAX
from libc.stdlib cimport free, malloc


def octet(bytes octets, Py_ssize_t index):
    """The octet at ``index``, wherever that is."""
    cdef const unsigned char *data = octets
    return data[index]


def freed(unsigned char value):
    """The octet that was written into memory which has been given back since."""
    cdef unsigned char *data = <unsigned char *> malloc(16)
    data[3] = value
    free(data)
    return data[3]


def sum_with_largest(int number):
    """In C an overflow has no meaning at all."""
    return INT_MAX + number
