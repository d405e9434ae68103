"""Running a job in a context of its own, so that no request sees the context variables of another.

``isolation.pyx`` is the same in C, without a bound method and a call by Python's convention.
"""

from __future__ import annotations

from contextvars import Context

from greenuni.wsgi.job import Job


def run_in_copy(context: Context, job: Job) -> None:
    """Run ``job`` in a copy of ``context``. Raises what it raises."""
    context.copy().run(job.run)
