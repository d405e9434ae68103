from greenuni.wsgi.admission cimport Admission
from greenuni.wsgi.loop cimport Loop
from greenuni.wsgi.runner cimport Runner
from greenuni.wsgi.services cimport Services

cdef class Server:
    cdef object _seat
    cdef object _orders
    cdef object _drain
    cdef object _wakeup
    cdef object _returns
    cdef readonly Loop _loop
    cdef readonly object _connections
    cdef object _threads
    cdef Runner _runner
    cdef readonly Services _services
    cdef readonly object _overseer
    cdef readonly object _departures
    cdef readonly Admission _admission
    cdef readonly object _relief
