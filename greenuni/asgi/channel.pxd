cdef class Channel:
    cdef readonly bint write_paused

    cpdef write(self, list parts)
    cpdef writable(self)
    cpdef ask_for_body(self)
    cpdef response_ended(self)
    cpdef refuse(self, int status, str detail)
    cpdef break_off(self, bint must_reset)
    cpdef call_finished(self)
