"""``isolation.py`` in C; see there. The tests hold both to the same behaviour."""

from cpython.contextvars cimport PyContext_Copy, PyContext_Enter, PyContext_Exit

from greenuni.wsgi.job cimport Job


cpdef run_in_copy(context, Job job):
    """Run ``job`` in a copy of ``context``. Raises what it raises."""
    copy = PyContext_Copy(context)
    PyContext_Enter(copy)
    try:
        job.run()
    finally:
        PyContext_Exit(copy)
