cimport cython

from greenuni.http.request cimport Request
from greenuni.http.responder cimport Responder
from greenuni.wsgi.control cimport RequestControl, new_control
from greenuni.wsgi.gateway cimport Gateway
from greenuni.wsgi.output cimport Output

@cython.final
@cython.freelist(8)
cdef class Call:
    cdef Gateway _gateway
    cdef readonly Request request
    cdef readonly dict environ
    cdef readonly object client
    cdef readonly Responder responder
    cdef readonly Output output
    cdef readonly object outcome
    cdef bint _is_dismissed
    cdef readonly bint is_begun
    cdef readonly object events
    cdef readonly RequestControl control
    cdef readonly double seconds
    cdef readonly unsigned long thread
    cdef _open(self, Gateway gateway, Request request, dict environ, Responder responder, Output output)
    cpdef run(self)
    cdef _drop(self)
    cdef _complete(self)
    @cython.locals(gateway=Gateway, began=double)
    cdef _respond(self)
    cdef _send_list(self, list chunks)
    cdef _send_result(self, result)
    @cython.locals(responder=Responder)
    cdef _send_chunks(self, chunks)
    cdef _send(self, chunk, bint more)
    @cython.locals(responder=Responder)
    cdef bint _send_file(self, wrapper) except -1
    cdef _write(self, list parts)
    cdef _fail(self, error)

@cython.locals(call=Call)
cpdef Call new_call(Gateway gateway, Request request, dict environ, Responder responder, Output output)
cdef list _join_small(list chunks)
cdef tuple _parse_status(status)
cdef dict _statuses
