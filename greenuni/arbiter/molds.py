"""The molds as the arbiter knows them: one for each generation of a pool that preloads.

A mold is made when the first worker of it is wanted. Workers that are wanted while it loads wait here, and
are cast when it has. It ends when no worker of it can be wanted any more; see `mold` for its side.
"""

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from greenuni.arbiter.children import Children
from greenuni.arbiter.events import Died, Event, Forked, ForkFailed, Spawn, Unborn, of_pool
from greenuni.arbiter.exits import Exit, describe
from greenuni.arbiter.messages import Decoder, Failed, Loaded, Message, MessageError
from greenuni.arbiter.mold import Cast
from greenuni.errors import BootError

CAST_PATIENCE = 10.0  # seconds; forking takes milliseconds, or a tenth of a second with gigabytes
READ_SIZE = 65536
LONGEST_ANSWER = 64  # bytes

Key = tuple[int, str]  # generation, pool


class Mold:
    """One mold process, of which the arbiter holds the ends ``casts`` and ``reader``."""

    def __init__(
        self, pid: int, casts: socket.socket, reader: int, generation: int, pool: str
    ) -> None:
        self.pid = pid
        self.casts = casts
        self.reader = reader
        self.generation = generation
        self.pool = pool
        self.has_loaded = False
        self.waiting: list[Spawn] = []
        self.decoder = Decoder()

    def fork(self, number: int, index: int, descriptors: Sequence[int]) -> int:
        """Have it fork a worker; returns the pid. Raises ``OSError``, also when it does not answer."""
        socket.send_fds(self.casts, [Cast(number, index).encode()], descriptors)
        answer = int(self.casts.recv(LONGEST_ANSWER) or b"-1")
        if answer < 0:
            raise OSError(-answer, os.strerror(-answer))
        return answer

    def close(self) -> None:
        """Give up our ends; a mold that waits for casts takes that for its end."""
        self.casts.close()
        os.close(self.reader)

    def __repr__(self) -> str:
        state = "loaded" if self.has_loaded else "loading"
        return f"<Mold {self.pid} of {self.generation} {self.pool} {state}>"


class MoldEnds(NamedTuple):
    """What a new mold has of the ways between it and the arbiter."""

    casts: socket.socket
    channel: int  # write end of its message pipe


def fork_mold(generation: int, pool: str, fork: Callable[[], int]) -> Mold | MoldEnds:
    """Fork a mold; returns its own ends in it. Raises ``OSError``."""
    ours, casts = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        undo.callback(casts.close)
        reader, channel = os.pipe()
        undo.callback(os.close, reader)
        undo.callback(os.close, channel)
        pid = fork()
        undo.pop_all()
    if pid == 0:
        ours.close()
        os.close(reader)
        return MoldEnds(casts, channel)
    casts.close()
    os.close(channel)
    os.set_blocking(reader, False)
    ours.settimeout(CAST_PATIENCE)
    return Mold(pid, ours, reader, generation, pool)


class Molds:
    """All molds. ``make`` forks one, and ``listeners`` says what a worker accepts from."""

    def __init__(
        self,
        children: Children,
        log: Callable[[], logging.Logger],
        make: Callable[[int, str], Mold],
        listeners: Callable[[Spawn], list[socket.socket]],
    ) -> None:
        self._children = children
        self._log = log
        self._make = make
        self._listeners = listeners
        self._molds: dict[Key, Mold] = {}
        self._leaving: dict[int, Mold] = {}  # by pid: those that have been told to end
        children.on_stranger = self._ended

    def spawn(self, command: Spawn) -> list[Event]:
        """Have a worker forked, now or when its mold has loaded. Raises ``OSError``."""
        key = (command.generation, command.pool)
        mold = self._molds.get(key)
        if mold is None:
            mold = self._molds[key] = self._make(*key)
            self._children.watch(mold.reader, lambda: self._hear(mold))
            text = f"Preloading the application in process {mold.pid}"
            self._log().info("%s", of_pool(mold.pool, text))
        if mold.has_loaded:
            return [self._cast(mold, command)]
        mold.waiting.append(command)
        return []

    def send(self, serial: int, number: signal.Signals) -> list[Event] | None:
        """A signal for a worker that has not been forked; None if it is not one of those."""
        for mold in (*self._molds.values(), *self._leaving.values()):
            for command in mold.waiting:
                if command.serial == serial:
                    return self._call_off(mold, command, number)
        return None

    def _call_off(self, mold: Mold, command: Spawn, number: signal.Signals) -> list[Event]:
        if number == signal.SIGUSR1:
            return []
        mold.waiting.remove(command)
        if number == signal.SIGABRT and mold.pid not in self._leaving:
            self._end(mold, signal.SIGABRT)  # it is the one that is stuck
        return [Died(command.serial, Exit(number=number), 0)]

    def _cast(self, mold: Mold, command: Spawn) -> Event:
        def fork(index: int, channel: int) -> int:
            listeners = [listener.fileno() for listener in self._listeners(command)]
            return mold.fork(command.number, index, [channel, *listeners])

        try:
            return Forked(command.serial, self._children.enter(command.serial, fork))
        except OSError as error:
            if isinstance(error, TimeoutError | BrokenPipeError | ConnectionError):
                self._end(mold)  # the next worker gets another one
            reason = str(error) or "the process that preloaded it does not answer"
            return ForkFailed(command.serial, reason)

    # What they say

    def _hear(self, mold: Mold) -> list[Event]:
        events: list[Event] = []
        try:
            data = _read(mold.reader)
            for message in mold.decoder.feed(data):
                events += self._understand(mold, message)
        except MessageError as error:
            self._log().warning("Process %d talks nonsense: %s", mold.pid, error)
            self._end(mold)
        else:
            if not data and mold in self._molds.values():
                self._children.unwatch(mold.reader)  # its end is told by its wait status
        return events

    def _understand(self, mold: Mold, message: Message) -> list[Event]:
        waiting, mold.waiting = mold.waiting, []
        if isinstance(message, Loaded):
            mold.has_loaded = True
            return [self._cast(mold, command) for command in waiting]
        if isinstance(message, Failed):
            self._end(mold)
            return [Unborn(command.serial, message) for command in waiting]
        return []

    def _ended(self, pid: int, exit: Exit) -> list[Event]:
        """A process that is no worker has been reaped."""
        if pid in self._leaving:
            return _lost(self._leaving.pop(pid), exit)
        mold = next((mold for mold in self._molds.values() if mold.pid == pid), None)
        if mold is None:
            return []
        # Its last words may say more than its wait status.
        events = self._hear(mold)
        if mold in self._molds.values():
            self._forget(mold)
        if mold.has_loaded:
            text = f"The process {pid} that had preloaded the application {describe(exit, None)}"
            self._log().error("%s", of_pool(mold.pool, f"{text}; its workers go on"))
        self._leaving.pop(pid, None)
        return [*events, *_lost(mold, exit)]

    # Their end

    def keep(self, wanted: Callable[[int, str], bool]) -> None:
        """End those from which no worker can be wanted any more."""
        for (generation, pool), mold in list(self._molds.items()):
            if not wanted(generation, pool):
                self._end(mold)

    def _end(self, mold: Mold, number: signal.Signals = signal.SIGKILL) -> None:
        """It has nothing to lose, so there is no need to ask it."""
        if self._molds.get((mold.generation, mold.pool)) is not mold:
            return
        self._forget(mold)
        self._leaving[mold.pid] = mold
        os.kill(mold.pid, number)

    def _forget(self, mold: Mold) -> None:
        del self._molds[mold.generation, mold.pool]
        self._children.unwatch(mold.reader)
        mold.close()

    def reopen_logs(self) -> None:
        """Have them open the log files anew, for the workers to come."""
        for mold in self._molds.values():
            mold.casts.send(Cast(0, 0, reopens_logs=True).encode())

    def leave_to_child(self) -> None:
        """In a forked child: nothing of ours is the child's."""
        for mold in self._molds.values():
            mold.close()

    def close(self) -> None:
        """End all of them."""
        self.keep(lambda generation, pool: False)

    def __repr__(self) -> str:
        return f"<Molds {list(self._molds.values())}>"


def _read(descriptor: int) -> bytes:
    """What is in a pipe, empty when nothing is."""
    try:
        return os.read(descriptor, READ_SIZE)
    except BlockingIOError:
        return b""


def _lost(mold: Mold, exit: Exit) -> list[Event]:
    """Those who waited for a mold that is gone."""
    text = f"The process that preloads the application {describe(exit, None)}"
    failure = Failed(text, "", BootError.exit_status)
    return [Unborn(command.serial, failure) for command in mold.waiting]
