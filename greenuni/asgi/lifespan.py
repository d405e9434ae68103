"""The lifespan protocol: https://asgi.readthedocs.io/en/latest/specs/lifespan.html

An exception on the lifespan scope may mean that the application has no lifespan, or that its startup
is broken. They are told apart by what the application had done before:

    raised, or returned, before it asked for the first message    has none: served without
    sent ``lifespan.startup.failed``                               fatal, in every mode
    raised after it was given ``lifespan.startup``                 fatal, with the traceback

There is no time limit on startup: loading a model takes what it takes, and whether a boot takes too
long is for the arbiter to say.
"""

from __future__ import annotations

import contextvars
import enum
import logging
import traceback
from collections.abc import Callable
from typing import Any

import anyio

from greenuni.asgi.interfaces import App, Message, Scope
from greenuni.errors import BootError, user_traceback
from greenuni.failure import without_our_frames

LIFESPAN_SPEC_VERSION = "2.0"


class Stage(enum.Enum):
    """How far the application has come through its lifespan."""

    CALLED = "called"  # has not asked for a message yet
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    DOWN = "down"
    ABSENT = "absent"  # has no lifespan
    FAILED = "failed"  # startup failed


class Lifespan:
    """One run of the lifespan scope. ``run`` is a task of its own, beside whoever calls the rest.

    ``context`` is a copy of the application's context when startup completed, ``state`` what it put
    into ``scope["state"]``.
    """

    def __init__(
        self, app: App, log: logging.Logger, on_down: Callable[[], None], *, is_required: bool
    ) -> None:
        self.context = contextvars.copy_context()
        self.state: dict[str, Any] = {}
        self._app = app
        self._log = log
        self._is_required = is_required
        self._stage = Stage.CALLED
        self._failure = ""
        self._details = ""
        self._started = anyio.Event()
        self._stop = anyio.Event()
        self._on_down = on_down

    def __repr__(self) -> str:
        return f"<Lifespan {self._stage.value}>"

    async def run(self) -> None:
        """Call the application. Returns when it does, whatever it raises."""
        scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": LIFESPAN_SPEC_VERSION},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - an application may also call sys.exit()
            self._ended(error)
        else:
            self._ended(None)
        finally:
            self._started.set()
            self._on_down()

    async def startup(self) -> None:
        """Wait until the application is up. Raises BootError if it cannot start."""
        await self._started.wait()
        if self._stage is Stage.FAILED:
            raise BootError(f"The application could not start: {self._failure}", self._details)
        if self._stage is not Stage.ABSENT:
            return
        if self._is_required:
            raise BootError(
                f"The application has no lifespan ({self._failure}), but the setting is "
                "--lifespan on; use --lifespan auto to serve it without.",
                self._details,
            )
        self._log.debug("The application has no lifespan: %s", self._failure)

    def stop(self) -> None:
        """Tell the application to shut down; ``on_down`` is called when it has."""
        self._stop.set()

    @property
    def is_up(self) -> bool:
        """Whether there is something that can be, or is being, shut down."""
        return self._stage in (Stage.UP, Stage.STOPPING)

    async def _receive(self) -> Message:
        if self._stage is Stage.CALLED:
            self._stage = Stage.STARTING
            return {"type": "lifespan.startup"}
        await self._stop.wait()
        if self._stage is Stage.UP:
            self._stage = Stage.STOPPING
            return {"type": "lifespan.shutdown"}
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._stage in (Stage.CALLED, Stage.STARTING) and kind in _STARTED:
            self._stage = _STARTED[kind]
            self._keep_message(message.get("message", ""))
            self.context = contextvars.copy_context()
            self._started.set()
        elif self._stage is Stage.STOPPING and kind in _STOPPED:
            self._stage = _STOPPED[kind]
            if self._stage is Stage.FAILED:
                self._log.error("The lifespan shutdown failed: %s", message.get("message", ""))
            self._on_down()
        else:
            raise RuntimeError(f"{kind!r} cannot come while the lifespan is {self._stage.value}")

    def _keep_message(self, text: str) -> None:
        """Of a failed startup; Starlette sends a whole traceback, which ends with the exception."""
        lines = text.strip().splitlines()
        self._failure = lines[-1] if lines else "it sent lifespan.startup.failed"
        self._details = text if len(lines) > 1 else ""

    def _ended(self, error: BaseException | None) -> None:
        """The application has returned or raised; what that means depends on the stage."""
        stage = self._stage
        if stage is Stage.CALLED or (stage is Stage.STARTING and error is None):
            self._stage = Stage.ABSENT
        elif stage is Stage.STARTING:
            self._stage = Stage.FAILED
        elif stage in (Stage.UP, Stage.STOPPING):
            self._stage = Stage.DOWN
        if stage in (Stage.CALLED, Stage.STARTING):
            self._failure = "it returned" if error is None else _summary(error)
            self._details = "" if error is None else user_traceback(error)
        elif error is not None and stage is not Stage.FAILED:
            self._log.error(
                "The application raised in its lifespan while it was %s",
                stage.value,
                exc_info=(type(error), error, without_our_frames(error.__traceback__)),
            )


_STARTED = {"lifespan.startup.complete": Stage.UP, "lifespan.startup.failed": Stage.FAILED}
_STOPPED = {"lifespan.shutdown.complete": Stage.DOWN, "lifespan.shutdown.failed": Stage.FAILED}


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()
