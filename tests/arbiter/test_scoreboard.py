"""The scoreboard, also across a fork."""

from __future__ import annotations

import mmap
import os
import time

import pytest

from greenuni.arbiter import scoreboard, slot
from greenuni.arbiter.scoreboard import Board
from greenuni.arbiter.slot import METHOD_SIZE, PATH_SIZE
from greenuni.shell import WorkerState

try:
    from greenuni.arbiter import fastslot
except ImportError:
    TWINS = [slot.BoardSlot]
else:
    TWINS = [slot.BoardSlot, fastslot.BoardSlot]


@pytest.fixture(params=TWINS, autouse=True, ids=lambda twin: twin.__module__.rpartition(".")[2])
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs on each implementation of a slot."""
    monkeypatch.setattr(scoreboard, "BoardSlot", request.param)


def test_a_slot_starts_cleared() -> None:
    board = Board(2)
    slot = board.take()
    slot.beat()
    slot.begin(b"GET", b"/", 1, time.monotonic())
    slot.end(0)
    board.give_back(slot.index)
    again = board.take()
    reading = board.read(again.index)
    assert again.index == slot.index
    assert (reading.beat, reading.requests, reading.request_line) == (0.0, 0, "")
    assert reading.state is WorkerState.BOOTING


def test_every_field_is_read_as_it_was_written() -> None:
    board = Board(4)
    other, slot = board.take(), board.take()
    before = time.monotonic()
    slot.beat()
    slot.set_state(WorkerState.DRAINING)
    slot.begin(b"GET", b"/first", 1, time.monotonic())
    slot.begin(b"POST", b"/second", 2, time.monotonic())
    slot.end(1)
    reading = board.read(slot.index)
    assert before <= reading.beat <= reading.since <= time.monotonic()
    assert reading.state is WorkerState.DRAINING
    assert (reading.requests, reading.in_flight) == (1, 1)
    assert reading.request_line == "POST /second"
    assert slot.requests == 1
    assert board.read(other.index).beat == 0.0


def test_an_idle_worker_runs_no_request() -> None:
    board = Board(1)
    slot = board.take()
    slot.begin(b"GET", b"/", 1, time.monotonic())
    slot.end(0)
    assert board.read(slot.index).request_line == ""


@pytest.mark.parametrize(
    ("method", "path", "kept"),
    [
        (b"GET", b"/" + b"a" * 500, "GET /" + "a" * (PATH_SIZE - 1)),
        (b"M" * 500, b"/", "M" * METHOD_SIZE + " /"),
        (b"GET", b"/caf\xe9", "GET /caf\xe9"),
        (b"OPTIONS", b"*", "OPTIONS *"),
    ],
)
def test_request_lines_are_cut_and_may_be_anything(method: bytes, path: bytes, kept: str) -> None:
    board = Board(1)
    slot = board.take()
    slot.begin(b"LONGER", b"/" + b"b" * PATH_SIZE, 1, time.monotonic())
    slot.begin(method, path, 1, time.monotonic())
    assert board.read(slot.index).request_line == kept


def test_a_full_board_says_so() -> None:
    board = Board(1)
    board.take()
    with pytest.raises(OSError, match="scoreboard is full"):
        board.take()


def test_what_a_child_writes_its_parent_reads() -> None:
    board = Board(1)
    slot = board.take()
    pid = os.fork()
    if pid == 0:
        slot.begin(b"GET", b"/child", 3, time.monotonic())
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.read(slot.index).request_line == "GET /child"
    assert board.read(slot.index).in_flight == 3


def test_reprs_show_the_state() -> None:
    board = Board(3)
    slot = board.take()
    slot.end(0)
    assert repr(board) == "<Board 1 of 3 taken>"
    assert repr(slot) == f"<BoardSlot {slot.index} requests=1>"


def test_slots_do_not_touch_their_neighbours() -> None:
    board = Board(3)
    slots = [board.take() for _ in range(3)]
    before = board.read(slots[0].index), board.read(slots[2].index)
    slots[1].beat()
    slots[1].set_state(WorkerState.SERVING)
    slots[1].begin(b"M" * 1000, b"/" * 1000, 2**62, 1e300)
    slots[1].end(2**62)
    assert (board.read(slots[0].index), board.read(slots[2].index)) == before
    assert board.read(slots[1].index).in_flight == 2**62


@pytest.mark.skipif(len(TWINS) < 2, reason="not compiled")
@pytest.mark.parametrize("index", [-1, 2])
def test_compiled_slot_refuses_memory_that_is_not_there(index: int) -> None:
    with mmap.mmap(-1, 2 * slot.SLOT_SIZE) as memory, pytest.raises(IndexError):
        fastslot.BoardSlot(memory, index)


def test_only_who_accepts_from_the_same_listeners_is_a_sibling() -> None:
    board = Board(4)
    slots = [board.take() for _ in range(3)]
    one, other, alone = (
        board.siblings(slot.index, crowd)
        for slot, crowd in zip(slots, ("", "", "admin"), strict=True)
    )
    for held, siblings in enumerate((one, other, alone), 1):
        siblings.note(held)
    assert (repr(one), repr(alone)) == ("<Siblings [1, 2]>", "<Siblings [3]>")
    board.give_back(slots[1].index)
    assert repr(one) == "<Siblings [1]>"
