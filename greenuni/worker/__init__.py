"""The life of a worker process, whatever it runs.

A forked child arrives here with an `Inherited` record and nothing else of the arbiter. It becomes a process
of its own (`identity`), prepares to tell what it does when it is stuck (`dump`), starts the thread that
notices the arbiter's end (`watcher`), loads the application (`applications`), adapts it where it is not
of the worker's interface (`hosting`), and seats the one shell that serves it (`life`).
"""

from greenuni.worker.applications import load_application
from greenuni.worker.life import run_worker

__all__ = ["load_application", "run_worker"]
