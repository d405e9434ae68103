"""Signals belong to the main thread: only it runs their handlers."""

from __future__ import annotations

import signal

# What a thread does to itself; blocked, it would end the process before its stacks are written.
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}


def leave_signals_to_main_thread() -> None:
    """Block them in the calling thread: one that the kernel gave to it would not wake the main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
