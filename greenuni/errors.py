"""Every exception that Greenuni raises on purpose.

::

    GreenuniError
    +-- ConfigError          a setting is unknown, malformed or does not apply      exit status 2
    |   +-- NoApplicationError   what is named as the application cannot be called
    +-- ListenError          a socket cannot be bound                               exit status 1
    +-- BootError            a worker cannot start serving its application          exit status 3
    |   +-- AppLoadError     the application cannot be imported or is not one
    +-- ProtocolError
        +-- RemoteProtocolError   the peer broke HTTP: answer ``status``, then close
        +-- LocalProtocolError    the application broke HTTP: answer 500, log, never split

Messages are one sentence that names the fix where there is one; they are shown to users as they are.
"""

from __future__ import annotations

import os
import traceback
from types import TracebackType

_OWN_DIRECTORY = os.path.dirname(os.path.abspath(__file__)) + os.sep
_COMPILED = (
    __name__.partition(".")[0] + os.sep
)  # compiled code names its source as seen by setup.py
_IMPORT_MACHINERY = ("<frozen importlib", os.path.join("importlib", "__init__.py"))


class GreenuniError(Exception):
    """Base of all of them. ``exit_status`` is what the process ends with if nobody handles it."""

    exit_status = 1


class ConfigError(GreenuniError):
    """A setting is unknown, malformed, or does not apply to what runs.

    ``details`` is the traceback of a configuration file that raised, or empty.
    """

    exit_status = 2

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class NoApplicationError(ConfigError):
    """What a setting names as the application can be found, and is none."""


class ListenError(GreenuniError):
    """A listening socket cannot be opened."""


class BootError(GreenuniError):
    """A worker cannot start serving. ``details`` is a traceback to show once, or empty."""

    exit_status = 3

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class AppLoadError(BootError):
    """The application cannot be imported, found or called. ``details`` holds the user's frames only."""


class ProtocolError(GreenuniError):
    """HTTP was violated. Never leaves the connection it happened on."""


class RemoteProtocolError(ProtocolError):
    """The client violated HTTP or a limit.

    ``status`` is the 4xx or 5xx to answer with; nothing more may be read from the connection.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class LocalProtocolError(ProtocolError):
    """The application's response violates HTTP (names, values, framing)."""


def user_traceback(error: BaseException) -> str:
    """The traceback of ``error`` without our frames and those of the import machinery."""
    shown = traceback.TracebackException.from_exception(error)
    _keep_user_frames(shown, set())
    return "".join(shown.format()).rstrip()


def has_user_frames(error: BaseException) -> bool:
    """Whether code that is neither ours nor the import machinery was running when ``error`` was raised."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(is_user_code(frame.f_code.co_filename) for frame, _ in frames)


def _keep_user_frames(shown: traceback.TracebackException, seen: set[int]) -> None:
    """Trim ``shown`` and the exceptions that it was raised from or that it groups."""
    seen.add(id(shown))
    shown.stack[:] = [frame for frame in shown.stack if is_user_code(frame.filename)]
    related = [shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())]
    for other in related:
        if other is not None and id(other) not in seen:
            _keep_user_frames(other, seen)


def is_user_code(filename: str) -> bool:
    """Whether a file is neither ours nor the import machinery's."""
    return not filename.startswith((_OWN_DIRECTORY, _COMPILED)) and not any(
        part in filename for part in _IMPORT_MACHINERY
    )


def without_our_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback from the application's first frame on; None when it has none."""
    while traceback is not None and not is_user_code(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback
