from greenuni.http.connection cimport Connection as Wire
from greenuni.wsgi.gateway cimport Gateway
from greenuni.wsgi.loop cimport Loop
from greenuni.wsgi.runner cimport Runner

cdef class Services:
    cdef readonly Loop loop
    cdef readonly Gateway gateway
    cdef readonly object log
    cdef readonly object access
    cdef readonly Runner runner
    cdef readonly object closed
    cdef public object settle
    cdef readonly object keeps
    cdef readonly bint routes
    cdef public bint is_choosy
    cdef readonly object deadlines
    cdef readonly double idle_seconds
    cdef readonly object output_limits
    cdef readonly object output_disk
    cdef object _config
    cdef object _limits
    cdef object _engine
    cpdef Wire new_wire(self)
