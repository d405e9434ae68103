"""Processes that lose their parent: who gets them, and how one is made on purpose.

A worker must be the arbiter's own child, so that its end is known by its pid and wait status, and it sees the
end of the arbiter by its parent. A *mold* (`mold`) forks workers that are nobody's: by way of a process
that ends at once, so that the kernel hands the worker up to the nearest ancestor that takes orphans.
"""

from __future__ import annotations

import os
import sys
import time

INIT_PID = 1
PR_SET_CHILD_SUBREAPER = 36
ADOPTION_PATIENCE = 5.0  # seconds; it takes microseconds, unless the arbiter is gone
_PID_BYTES = 8


def adopt_orphans() -> bool:
    """Have the kernel give this process the orphans among its descendants; False where that cannot be had.

    Linux only. Process 1 has them anyway.
    """
    if os.getpid() == INIT_PID:
        return True
    if sys.platform != "linux":
        return False
    import ctypes  # a megabyte, for those alone who preload

    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return False
    done: int = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return done == 0


def fork_orphan() -> int:
    """Fork a process that is given away; returns its pid, and 0 in it. Raises ``OSError``.

    When it returns in the caller, the kernel has given the new process away.
    """
    reader, writer = os.pipe()
    try:
        middle = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if middle == 0:
        answer = _fork_or_errno()
        if answer == 0:
            os.close(reader)
            os.close(writer)
            return 0
        os.write(writer, answer.to_bytes(_PID_BYTES, "big", signed=True))
        os._exit(0)
    os.close(writer)
    answer = int.from_bytes(os.read(reader, _PID_BYTES), "big", signed=True)
    os.close(reader)
    try:
        os.waitpid(middle, 0)
    except ChildProcessError:  # code of the application has waited for it, so it has ended
        pass
    if answer <= 0:
        raise OSError(-answer, os.strerror(-answer))
    return answer


def _fork_or_errno() -> int:
    try:
        return os.fork()
    except OSError as error:
        return -(error.errno or 1)


def has_parent(pid: int) -> bool:
    """Whether this orphan has come to ``pid``; waits while it still has the parent that ends."""
    deadline = time.monotonic() + ADOPTION_PATIENCE
    while os.getppid() != pid:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0002)
    return True
