"""The supervisor: it decides (`decide`, pure), acts (`effects`) and never serves a request itself.

::

    status = run(load_config, run_worker, preload)

Theory of operation. ``arbiter.Arbiter`` waits on two kinds of descriptors: the signal wake-up pipe
and the message pipe of each worker. Whatever happens becomes an event (`events`). `fleet` turns it into
commands, with `decide` for each pool that it concerns, over that pool's table of workers (`table`), and
`effects.Effects` carries them out. The process has no threads, writes no files but the pid file that was
asked for, and never sleeps.

A fork unwinds out of the arbiter: in the child nothing of it is left but an `Inherited` record.
"""

from __future__ import annotations

from greenuni.arbiter.arbiter import run
from greenuni.arbiter.inherited import Inherited

__all__ = ["Inherited", "run"]
