cdef class TransportUser:
    cpdef connection_made(self, transport)
    cpdef data_received(self, bytes data)
    cpdef bint eof_received(self) except -1
    cpdef connection_lost(self, error)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cpdef flushed(self)


cdef class Channel(TransportUser):
    cdef readonly bint write_paused

    cpdef write(self, list parts)
    cpdef writable(self)
    cpdef ask_for_body(self)
    cpdef response_ended(self)
    cpdef refuse(self, int status, str detail)
    cpdef break_off(self, bint must_reset)
    cpdef call_finished(self)
