"""Every exception that Greenuni raises on purpose.

::

    GreenuniError
    +-- ConfigError          a setting is unknown, malformed or does not apply      exit status 2
    +-- ListenError          a socket cannot be bound                               exit status 1
    +-- BootError            a worker cannot start serving its application          exit status 3
    |   +-- AppLoadError     the application cannot be imported or is not one
    +-- ProtocolError
        +-- RemoteProtocolError   the peer broke HTTP: answer ``status``, then close
        +-- LocalProtocolError    the application broke HTTP: answer 500, log, never split

Messages are one sentence that names the fix where there is one; they are shown to users as they are.
"""

from __future__ import annotations


class GreenuniError(Exception):
    """Base of all of them. ``exit_status`` is what the process ends with if nobody handles it."""

    exit_status = 1


class ConfigError(GreenuniError):
    """A setting is unknown, malformed, or does not apply to what runs."""

    exit_status = 2


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
