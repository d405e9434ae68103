"""Signals of the arbiter: a handler only enqueues, the loop reads them from a pipe.

Python's wake-up descriptor gets one byte, the number, from the C handler itself, so none is lost while
the interpreter is busy. Before the loop runs (the configuration is read, the application is preloaded)
nobody would read them: then TERM, INT and QUIT raise, so that a server that is still starting can be
stopped, also as process 1, which the kernel shields from signals without a handler.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
HANDLED = (
    *ENDING,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCHLD,
)


class StoppedEarly(BaseException):
    """TERM, INT or QUIT came before there was a loop to take it."""


class SignalPipe:
    """Installs the handlers; at most one in a process. ``reader`` is readable when signals wait."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self._is_starting = True
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers_before = {number: signal.getsignal(number) for number in HANDLED}
        self._install()

    def _install(self) -> None:
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """The byte is in the pipe already; only an early end needs more."""
        if self._is_starting and number in ENDING:
            raise StoppedEarly(signal.Signals(number).name)

    def begin_loop(self) -> None:
        """From now on `take` is called, so that nothing has to be raised."""
        self._is_starting = False
        self._install()  # a preloaded application may have handlers, or have run an event loop

    def take(self) -> list[signal.Signals]:
        """The signals that have come since the last call, in order."""
        try:
            numbers = os.read(self.reader, 4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers if number in HANDLED]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Around a fork: a signal to the child must not run our handlers in it, nor reach our pipe."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def close(self) -> None:
        """Give the signals back to whoever had them before."""
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._close_pipe()

    def leave_to_child(self) -> None:
        """In a forked child: every signal has its default action again, and nothing reaches our pipe."""
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self.reader)
        os.close(self._writer)

    def __repr__(self) -> str:
        return f"<SignalPipe {'starting' if self._is_starting else 'looping'}>"
