"""The vocabularies of the supervisor: events go in, commands come out. Nothing here acts.

A worker is named by its ``serial``, which is never used twice; its pid is known once it is forked.

What an event or a command is, its type says: as tuples, two of different types may be equal, and one without
fields is false.
"""

import logging
import signal
from collections.abc import Mapping
from typing import NamedTuple

from greenuni.arbiter.exits import Exit
from greenuni.arbiter.messages import Failed, Message
from greenuni.arbiter.scoreboard import Reading
from greenuni.arbiter.table import Plan

# Events


class Signalled(NamedTuple):
    """The arbiter itself got a signal (never CHLD: that becomes `Died`)."""

    signal: signal.Signals


class Tick(NamedTuple):
    """A deadline has passed: ``due`` is when it was to be, ``readings`` the scoreboard by serial."""

    readings: Mapping[int, Reading] = {}
    due: float | None = None


class Forked(NamedTuple):
    """`Spawn` has been carried out."""

    serial: int
    pid: int


class ForkFailed(NamedTuple):
    """`Spawn` could not be carried out."""

    serial: int
    reason: str


class Unborn(NamedTuple):
    """A worker was not forked, because the application could not be preloaded."""

    serial: int
    failure: Failed


class Said(NamedTuple):
    """A message from a worker."""

    serial: int
    message: Message


class Died(NamedTuple):
    """A worker has been reaped; ``requests`` is its final total."""

    serial: int
    exit: Exit
    requests: int


class Configured(NamedTuple):
    """`ReloadConfig` has been carried out: the new generation's listeners are open.

    ``plans`` are by pool, in order; ``signal_pool`` is the one that TTIN and TTOU mean, None for all.
    """

    generation: int
    plans: Mapping[str, Plan]
    signal_pool: str | None = None


class ConfigRefused(NamedTuple):
    """`ReloadConfig` failed; everything is as it was."""

    reason: str
    details: str = ""  # the traceback of a configuration file that raised


Event = Signalled | Tick | Forked | ForkFailed | Unborn | Said | Died | Configured | ConfigRefused

# What the fleet tells one pool


class Planned(NamedTuple):
    """A new generation of this pool is to take over."""

    generation: int
    plan: Plan


class ChangeCount(NamedTuple):
    """So many workers more, or fewer, are wanted."""

    by: int


class Stop(NamedTuple):
    """Let the workers finish what they have; nobody follows them."""

    reason: str


class Quit(NamedTuple):
    """The workers are to end at once. ``exit_status`` is not 0 when that is for a failure told already."""

    reason: str
    exit_status: int = 0


class Kill(NamedTuple):
    """Who is still there is killed."""

    reason: str


PoolEvent = (
    Tick | Forked | ForkFailed | Unborn | Said | Died | Planned | ChangeCount | Stop | Quit | Kill
)

# Commands


class Spawn(NamedTuple):
    """Fork worker ``serial``, of that generation, into place ``number`` of a pool."""

    serial: int
    number: int
    generation: int
    pool: str = ""


class Send(NamedTuple):
    """Send a signal to a worker."""

    serial: int
    signal: signal.Signals


class Log(NamedTuple):
    """Write to the error log; ``details`` (a traceback) follows on lines of its own.

    ``text`` stays as it is, for it may begin with a name of the user's; the functions at the end of this
    module are for words of our own.
    """

    level: int
    text: str
    details: str = ""


class ReloadConfig(NamedTuple):
    """Read the configuration again and open what new listeners it needs, as ``generation``."""

    generation: int


class ReopenLogs(NamedTuple):
    """Open the arbiter's own log files anew."""


class Settle(NamedTuple):
    """Only ``generation`` of a pool goes on: what its others alone were given is dropped and closed."""

    generation: int
    pool: str = ""


class Forget(NamedTuple):
    """Nobody will be forked into this pool any more: what it alone was given is dropped and closed."""

    pool: str


class ShowPool(NamedTuple):
    """Let the workers of all pools know whether this one can be expected to answer."""

    pool: str
    is_up: bool


class KeepPlaces(NamedTuple):
    """Only so many ``places`` will be held, the first: close what listeners belong to others alone."""

    places: int


class ForkNobody(NamedTuple):
    """The server ends: no worker follows another one, and none may count on others."""


class CloseListeners(NamedTuple):
    """Stop listening, and show all pools as down: what is in the queues now belongs to the workers that there
    are, and nobody will come after them.
    """


class Finish(NamedTuple):
    """No worker is left; end with this exit status."""

    status: int


Command = (
    Spawn
    | Send
    | Log
    | ReloadConfig
    | ReopenLogs
    | Settle
    | Forget
    | ShowPool
    | KeepPlaces
    | ForkNobody
    | CloseListeners
    | Finish
)


def debug(text: str) -> Log:
    """A sentence at level debug."""
    return Log(logging.DEBUG, sentence(text))


def info(text: str) -> Log:
    """A sentence at level info."""
    return Log(logging.INFO, sentence(text))


def warning(text: str) -> Log:
    """A sentence at level warning."""
    return Log(logging.WARNING, sentence(text))


def error(text: str, details: str = "") -> Log:
    """A sentence at level error, with a traceback where there is one."""
    return Log(logging.ERROR, sentence(text), details)


def of_pool(pool: str, text: str) -> str:
    """A line of the log about one of several pools, which have names."""
    return f"[{pool}] {text}" if pool else text


def sentence(text: str) -> str:
    """Our own words, from the capital on."""
    return text[:1].upper() + text[1:]
