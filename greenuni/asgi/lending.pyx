"""``lending.py`` in C; see there. The tests hold both to the same behaviour."""

from weakref import getweakrefcount

from cpython.contextvars cimport PyContext_Enter, PyContext_Exit
from cpython.object cimport PyObject, PyTypeObject, Py_TYPE, visitproc
from cpython.ref cimport Py_DECREF, Py_REFCNT

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iterator, object value, PyObject **result) except PYGEN_ERROR

OVER = object()
cdef object _OVER = OVER
cdef object _getweakrefcount = getweakrefcount


cpdef step(context, run):
    """Let ``run`` go on in ``context``: what it waits for, `OVER` when it returns. Raises what it raises."""
    cdef PyObject *result = NULL
    cdef PySendResult outcome
    PyContext_Enter(context)
    try:
        outcome = PyIter_Send(run, None, &result)
    finally:
        PyContext_Exit(context)
    awaited = <object>result
    Py_DECREF(awaited)  # the reference that we were given: `awaited` has one of its own
    return awaited if outcome == PYGEN_NEXT else _OVER


cdef int _count(PyObject *referent, void *count) noexcept:
    (<Py_ssize_t *>count)[0] += 1
    return 0


cpdef Py_ssize_t count_ties(subject) except -1:
    """The references to ``subject``, strong and weak, and of it. Only for comparing with itself."""
    cdef Py_ssize_t count = Py_REFCNT(subject) + <Py_ssize_t>_getweakrefcount(subject)
    cdef PyTypeObject *kind = Py_TYPE(subject)
    if kind.tp_traverse != NULL:
        kind.tp_traverse(<PyObject *>subject, <visitproc>_count, &count)
    return count
