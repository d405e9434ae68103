from greenuni.http.fields cimport ResponseFields
from greenuni.http.limits cimport Limits
from greenuni.http.request cimport Request


cdef class Engine:
    cpdef Request recognise(self, bytes data, Limits limits)
    cpdef tuple read_head(self, bytes head, Limits limits)
    cpdef ResponseFields write_fields(self, headers, bint text)
    cpdef bytes join(self, list parts)
