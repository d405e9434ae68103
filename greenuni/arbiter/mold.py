"""A mold: a process in which an application is preloaded, and from which its workers are forked.

The arbiter stays small and free of the application, and HUP loads new code, because it makes a new mold and
ends the old one. A mold serves nobody. It waits for *casts*: a packet with the worker's place and slot, and
with the descriptors that this worker alone is given. All else that a worker inherits the mold has itself.

A worker is forked as an orphan (`orphans`), so that it is the arbiter's child and not the mold's: its end is
seen by the arbiter as that of any other, and nothing happens to it when the mold ends.

A mold ends without exit handlers. Its workers go on with what the application has made while it was imported,
such as a temporary directory, and run the handlers themselves.
"""

import faulthandler
import gc
import os
import signal
import socket
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple, NoReturn

from greenuni.arbiter.forksafety import warn_of_fork
from greenuni.arbiter.inherited import Inherited
from greenuni.arbiter.messages import Channel, Failed, Loaded
from greenuni.arbiter.orphans import fork_orphan, has_parent
from greenuni.arbiter.scoreboard import Board
from greenuni.arbiter.title import set_title
from greenuni.config import Config
from greenuni.errors import BootError, GreenuniError, user_traceback
from greenuni.observe import Logs
from greenuni.shell import Application

PACKET_BYTES = 4096
MOST_DESCRIPTORS = 253  # that the kernel takes in one packet
# Meant for the arbiter, whose end a mold sees by itself; a terminal sends them to everybody.
_NOT_FOR_US = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGTTIN,
    signal.SIGTTOU,
)

Preload = Callable[[Config], Application]


class Cast(NamedTuple):
    """Fork the worker of place ``number``, which has that ``slot``.

    With it come the worker's end of the message pipe and its listeners. The answer is a pid, or the negative
    of an error number. A cast that ``reopens_logs`` does nothing else, and has no answer.
    """

    number: int
    slot: int  # its index
    reopens_logs: bool = False

    def encode(self) -> bytes:
        """The packet."""
        return b"%d %d %d" % self

    @classmethod
    def decode(cls, data: bytes) -> "Cast":
        """From a packet."""
        number, slot, reopens_logs = map(int, data.split())
        return cls(number, slot, bool(reopens_logs))


class MoldSeat(NamedTuple):
    """What a mold has from the arbiter. It owns the descriptors in it."""

    config: Config  # of the pool
    logs: Logs
    board: Board
    crowd: str  # see `Board.siblings`
    casts: socket.socket  # packets; its end is the arbiter's
    channel: int  # write end of its message pipe
    arbiter_pid: int
    inherit: Callable[..., Inherited]  # makes the record of a worker from what is its own


def run_mold(seat: MoldSeat, preload: Preload) -> Inherited:
    """Be a mold until the arbiter wants no more workers; returns in each worker, and only there."""
    _prepare(seat)
    application = _load(seat, preload)
    gc.collect()
    gc.freeze()  # or the first collection in a worker would write to every object that it shares
    warn_of_fork(seat.logs.error)
    Channel(seat.channel).send(Loaded())
    while True:
        data, descriptors, _, _ = socket.recv_fds(
            seat.casts, PACKET_BYTES, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            os._exit(0)
        cast = Cast.decode(data)
        if cast.reopens_logs:
            seat.logs.reopen()
            _dump_when_aborted(seat)
            continue
        if not _forked(seat):
            return _become_worker(seat, application, cast, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _prepare(seat: MoldSeat) -> None:
    for number in _NOT_FOR_US:
        signal.signal(number, _ignore)  # not SIG_IGN, which programs that are started would keep
        signal.siginterrupt(number, False)
    _dump_when_aborted(seat)
    if seat.config.pool:
        seat.logs.name_pool(seat.config.pool)
    set_title("mold", seat.config)


def _dump_when_aborted(seat: MoldSeat) -> None:
    """Write the stacks to the log, on ABRT and in a crash."""
    faulthandler.enable(file=seat.logs.error_fileno, all_threads=True)


def _ignore(number: int, frame: FrameType | None) -> None:
    """See `_NOT_FOR_US`."""


def _load(seat: MoldSeat, preload: Preload) -> Application:
    try:
        return preload(seat.config)
    except GreenuniError as error:
        _fail(seat, str(error), getattr(error, "details", ""), error.exit_status)
    except SystemExit as error:
        sentence = f"the application ended its import with sys.exit({error.code!r})"
        _fail(seat, sentence, user_traceback(error), BootError.exit_status)
    except BaseException as error:  # noqa: BLE001  # the arbiter is to hear of anything
        sentence = f"the preloading ended with {type(error).__name__}: {error}"
        _fail(seat, sentence, traceback.format_exc(), BootError.exit_status)


def _fail(seat: MoldSeat, message: str, details: str, exit_status: int) -> NoReturn:
    Channel(seat.channel).send(Failed(message, details, exit_status))
    os._exit(exit_status)


def _forked(seat: MoldSeat) -> bool:
    """Fork, and answer the arbiter; False in the worker."""
    try:
        answer = fork_orphan()
    except OSError as error:
        answer = -(error.errno or 1)
    if answer == 0:
        return False
    seat.casts.send(str(answer).encode())
    return True


def _become_worker(
    seat: MoldSeat, application: Application, cast: Cast, descriptors: list[int]
) -> Inherited:
    seat.casts.close()
    os.close(seat.channel)
    if not has_parent(seat.arbiter_pid):
        os._exit(1)  # the arbiter is gone
    channel, *listeners = descriptors
    sockets = tuple(socket.socket(fileno=descriptor) for descriptor in listeners)
    for listener in sockets:
        listener.setblocking(False)
    return seat.inherit(
        number=cast.number,
        listeners=sockets,
        application=application,
        slot=seat.board.slot(cast.slot),
        siblings=seat.board.siblings(cast.slot, seat.crowd),
        channel=channel,
    )
