"""The vocabularies of the supervisor: events go in, commands come out. Nothing here acts.

A worker is named by its ``serial``, which is never used twice; its pid is known once it is forked.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from greenuni.arbiter.exits import Exit
from greenuni.arbiter.messages import Failed, Message
from greenuni.arbiter.scoreboard import Reading
from greenuni.arbiter.table import Plan

# Events


@dataclass(frozen=True)
class Signalled:
    """The arbiter itself got a signal (never CHLD: that becomes `Died`)."""

    signal: signal.Signals


@dataclass(frozen=True)
class Tick:
    """A deadline has passed: ``due`` is when it was to be, ``readings`` the scoreboard by serial."""

    readings: Mapping[int, Reading] = field(default_factory=dict)
    due: float | None = None


@dataclass(frozen=True)
class Forked:
    """`Spawn` has been carried out."""

    serial: int
    pid: int


@dataclass(frozen=True)
class ForkFailed:
    """`Spawn` could not be carried out."""

    serial: int
    reason: str


@dataclass(frozen=True)
class Unborn:
    """A worker was not forked, because the application could not be preloaded."""

    serial: int
    failure: Failed


@dataclass(frozen=True)
class Said:
    """A message from a worker."""

    serial: int
    message: Message


@dataclass(frozen=True)
class Died:
    """A worker has been reaped; ``requests`` is its final total."""

    serial: int
    exit: Exit
    requests: int


@dataclass(frozen=True)
class Configured:
    """`ReloadConfig` has been carried out: the new generation's listeners are open.

    ``plans`` are by pool, in order; ``signal_pool`` is the one that TTIN and TTOU mean, None for all.
    """

    generation: int
    plans: Mapping[str, Plan]
    signal_pool: str | None = None


@dataclass(frozen=True)
class ConfigRefused:
    """`ReloadConfig` failed; everything is as it was."""

    reason: str
    details: str = ""  # the traceback of a configuration file that raised


Event = Signalled | Tick | Forked | ForkFailed | Unborn | Said | Died | Configured | ConfigRefused

# What the fleet tells one pool


@dataclass(frozen=True)
class Planned:
    """A new generation of this pool is to take over."""

    generation: int
    plan: Plan


@dataclass(frozen=True)
class ChangeCount:
    """So many workers more, or fewer, are wanted."""

    by: int


@dataclass(frozen=True)
class Stop:
    """Let the workers finish what they have; nobody follows them."""

    reason: str


@dataclass(frozen=True)
class Quit:
    """The workers are to end at once. ``exit_status`` is not 0 when that is for a failure told already."""

    reason: str
    exit_status: int = 0


@dataclass(frozen=True)
class Kill:
    """Who is still there is killed."""

    reason: str


PoolEvent = (
    Tick | Forked | ForkFailed | Unborn | Said | Died | Planned | ChangeCount | Stop | Quit | Kill
)

# Commands


@dataclass(frozen=True)
class Spawn:
    """Fork worker ``serial``, of that generation, into place ``number`` of a pool."""

    serial: int
    number: int
    generation: int
    pool: str = ""


@dataclass(frozen=True)
class Send:
    """Send a signal to a worker."""

    serial: int
    signal: signal.Signals


@dataclass(frozen=True)
class Log:
    """Write to the error log; ``details`` (a traceback) follows on lines of its own.

    ``text`` stays as it is, for it may begin with a name of the user's; the functions at the end of this
    module are for words of our own.
    """

    level: int
    text: str
    details: str = ""


@dataclass(frozen=True)
class ReloadConfig:
    """Read the configuration again and open what new listeners it needs, as ``generation``."""

    generation: int


@dataclass(frozen=True)
class ReopenLogs:
    """Open the arbiter's own log files anew."""


@dataclass(frozen=True)
class Settle:
    """Only ``generation`` of a pool goes on: what its others alone were given is dropped and closed."""

    generation: int
    pool: str = ""


@dataclass(frozen=True)
class Forget:
    """Nobody will be forked into this pool any more: what it alone was given is dropped and closed."""

    pool: str


@dataclass(frozen=True)
class ShowPool:
    """Let the workers of all pools know whether this one can be expected to answer."""

    pool: str
    is_up: bool


@dataclass(frozen=True)
class KeepPlaces:
    """Only places below ``count`` will be held: close what listeners belong to others alone."""

    count: int


@dataclass(frozen=True)
class ForkNobody:
    """The server ends: no worker follows another one, and none may count on others."""


@dataclass(frozen=True)
class CloseListeners:
    """Stop listening, and show all pools as down: what is in the queues now belongs to the workers that there
    are, and nobody will come after them.
    """


@dataclass(frozen=True)
class Finish:
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
