"""The worker processes as the operating system knows them: forked, heard, signalled, reaped.

Events leave this room by serial; nobody else deals in pids, pipes and wait statuses.
"""

import logging
import os
import select
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from greenuni.arbiter.events import Died, Event, Said
from greenuni.arbiter.exits import Exit, OomCounter, find_oom_file
from greenuni.arbiter.messages import Decoder, MessageError
from greenuni.arbiter.scoreboard import Board, BoardSlot, Reading
from greenuni.siblings import Siblings

READ_SIZE = 65536


class Birth(NamedTuple):
    """What a forked child owns of the arbiter's side: see `Inherited`."""

    slot: BoardSlot
    siblings: Siblings
    channel: int
    lifeline: int


class Child:
    """One worker process, with the read end of its message pipe and the index of its scoreboard slot."""

    def __init__(self, serial: int, pid: int, reader: int, index: int) -> None:
        self.serial = serial
        self.pid = pid
        self.reader = reader
        self.index = index
        self.decoder = Decoder()

    def __repr__(self) -> str:
        return f"<Child {self.serial} pid={self.pid}>"


class Children:
    """All worker processes. ``adopts`` also reaps processes that are not ours (as process 1 must)."""

    def __init__(self, adopts: bool) -> None:
        self._adopts = adopts
        self._by_serial: dict[int, Child] = {}
        self._by_reader: dict[int, Child] = {}
        self.board = Board()
        self._oom = OomCounter(find_oom_file())
        # EOF on the read end tells a worker that the arbiter is gone, however it went.
        self.lifeline, self._lifeline_writer = os.pipe()
        self.on_stranger: Callable[[int, Exit], list[Event]] = _no_events  # reaped, but no worker
        self._others: dict[int, Callable[[], list[Event]]] = {}
        self._poll = select.poll()  # unlike epoll it has no descriptor that a child would share

    def watch(self, descriptor: int, heard: Callable[[], list[Event]] = list) -> None:
        """Let `wait` return for this descriptor, too, with what ``heard`` makes of it."""
        self._others[descriptor] = heard
        self._poll.register(descriptor, select.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Undo `watch`. Harmless if that has been done."""
        if self._others.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def wait(self, milliseconds: int | None) -> list[Event]:
        """Wait until something happens or time is up; returns what the workers said."""
        events: list[Event] = []
        for descriptor, _ in self._poll.poll(milliseconds):
            if descriptor in self._by_reader:
                events += self._hear(self._by_reader[descriptor])
            elif descriptor in self._others:
                events += self._others[descriptor]()
        return events

    def _hear(self, child: Child) -> list[Event]:
        """Read what is there. A pipe that has ended is not listened to any more."""
        data = _read(child.reader)
        if data == b"":
            self._stop_hearing(child)
        return self._understand(child, data) if data else []

    def _understand(self, child: Child, data: bytes) -> list[Event]:
        """The messages that ``data`` completes. Who talks nonsense is not listened to any more."""
        events: list[Event] = []
        try:
            for message in child.decoder.feed(data):
                events.append(Said(child.serial, message))  # noqa: PERF401 - feed() may raise
        except MessageError as error:
            log = logging.getLogger("greenuni.error")
            log.warning("Process %d is not listened to any more: %s", child.pid, error)
            self._stop_hearing(child)
        return events

    def _stop_hearing(self, child: Child) -> None:
        if self._by_reader.pop(child.reader, None) is not None:
            self._poll.unregister(child.reader)

    # Birth

    def fork(self, serial: int, crowd: str) -> int | Birth:
        """Fork; returns the pid, or in the child what it owns.

        ``crowd`` is the name of those who accept from the same listeners.
        Raises ``OSError`` when there can be no further process or pipe.
        """
        reader, writer = os.pipe()
        try:
            slot = self.board.take()
            siblings = self.board.siblings(slot.index, crowd)
            try:
                pid = os.fork()
            except OSError:
                self.board.give_back(slot.index)
                raise
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if pid == 0:
            os.close(reader)
            self.leave_to_child()
            return Birth(slot, siblings, writer, self.lifeline)
        os.close(writer)
        self._know(Child(serial, pid, reader, slot.index))
        return pid

    def enter(self, serial: int, fork: Callable[[int, int], int]) -> int:
        """Take in a worker that another process forks; returns its pid.

        ``fork`` is given the index of a slot and the worker's end of the message pipe, and returns the
        pid. It raises ``OSError`` when there is none, as this does.
        """
        reader, writer = os.pipe()
        try:
            slot = self.board.take()
            try:
                pid = fork(slot.index, writer)
            except OSError:
                self.board.give_back(slot.index)
                raise
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._know(Child(serial, pid, reader, slot.index))
        return pid

    def _know(self, child: Child) -> None:
        os.set_blocking(child.reader, False)
        self._by_serial[child.serial] = self._by_reader[child.reader] = child
        self._poll.register(child.reader, select.POLLIN)

    def leave_to_child(self) -> None:
        """Close what only the arbiter may hold: above all the end of the lifeline that must go with it."""
        os.close(self._lifeline_writer)
        for sibling in self._by_serial.values():
            os.close(sibling.reader)

    # Life

    def send(self, serial: int, number: signal.Signals) -> None:
        """Send a signal. A worker that has ended stays a zombie until `reap`, so its pid is nobody else's."""
        child = self._by_serial.get(serial)
        if child is not None:
            os.kill(child.pid, number)

    def readings(self) -> dict[int, Reading]:
        """The scoreboard, by serial."""
        self._oom.forget()
        return {child.serial: self.board.read(child.index) for child in self._by_serial.values()}

    # Death

    def reap(self) -> list[Event]:
        """Take note of the workers that have ended; their last words come first."""
        events: list[Event] = []
        by_pid = {child.pid: child for child in self._by_serial.values()}
        for pid, exit in self._any_ended() if self._adopts else self._ended(by_pid):
            if pid in by_pid:
                events += self._bury(by_pid[pid], exit)
            else:
                events += self.on_stranger(pid, exit)
        return events

    def _ended(self, pids: Iterable[int]) -> Iterator[tuple[int, Exit]]:
        for pid in pids:
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # a preloaded application has waited for it
                yield pid, Exit()
                continue
            if ended:
                yield pid, self._exit(status)

    def _any_ended(self) -> Iterator[tuple[int, Exit]]:
        """Also orphans that the kernel gave us to wait for."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not ended:
                return
            yield ended, self._exit(status)

    def _exit(self, status: int) -> Exit:
        exit = Exit.from_wait_status(status)
        if exit.number == signal.SIGKILL and self._oom.take():
            return exit._replace(out_of_memory=True)
        return exit

    def _bury(self, child: Child, exit: Exit) -> list[Event]:
        events: list[Event] = []
        # A process that the worker left behind may keep the pipe open, so there need not be an EOF.
        while child.reader in self._by_reader and (data := _read(child.reader)):
            events += self._understand(child, data)
        self._stop_hearing(child)
        os.close(child.reader)
        del self._by_serial[child.serial]
        requests = self.board.read(child.index).requests
        self.board.give_back(child.index)
        return [*events, Died(child.serial, exit, requests)]

    def close(self) -> None:
        """Release the descriptors; workers that are left take it for the arbiter's end."""
        for child in self._by_serial.values():
            os.close(child.reader)
        os.close(self.lifeline)
        os.close(self._lifeline_writer)

    def __repr__(self) -> str:
        return f"<Children {sorted(child.pid for child in self._by_serial.values())}>"


def _no_events(pid: int, exit: Exit) -> list[Event]:
    return []


def _read(descriptor: int) -> bytes | None:
    """What is in a pipe: None when nothing is, empty at its end."""
    try:
        return os.read(descriptor, READ_SIZE)
    except BlockingIOError:
        return None
