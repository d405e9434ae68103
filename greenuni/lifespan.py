"""The lifespan protocol, the server's side: https://asgi.readthedocs.io/en/latest/specs/lifespan.html

An exception on the lifespan scope may mean that the application has no lifespan, or that its startup
is broken. They are told apart by what the application had done before:

    raised, or returned, before it asked for the first message    has none: served without
    returned after it was given ``lifespan.startup``               the same
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
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from greenuni.errors import BootError, user_traceback, without_our_frames

LIFESPAN_SPEC_VERSION = "2.0"

Message = MutableMapping[str, Any]

_log = logging.getLogger("greenuni.error")


class Stage(enum.Enum):
    """How far the application has come through its lifespan."""

    CALLED = "called"  # has not asked for a message yet
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    DOWN = "down"
    ABSENT = "absent"  # has no lifespan
    FAILED = "failed"  # startup or shutdown failed


class Lifespan:
    """One run of the lifespan scope. ``run`` is a task of its own, beside whoever calls the rest.

    ``new_event`` makes an event of the loop in which it runs (``asyncio.Event`` or ``anyio.Event``), and
    ``cancelled`` is what a cancelled task is thrown there.

    ``context`` is a copy of the application's context when startup completed, ``state`` what it put
    into ``scope["state"]`` on top of what was there. ``on_change`` is called at each change of the stage;
    ``name`` is for messages where there are several applications.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        new_event: Callable[[], Any],
        cancelled: type[BaseException],
        *,
        name: str = "",
        state: dict[str, Any] | None = None,
        is_required: bool = False,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.context = contextvars.copy_context()
        self.state: dict[str, Any] = state if state is not None else {}
        self.failure = ""  # why startup or shutdown failed
        self._app = app
        self._new_event = new_event
        self._cancelled = cancelled
        self._name = name
        self._is_required = is_required
        self._on_change = on_change
        self._stage = Stage.CALLED
        self._details = ""
        self._is_to_stop = False
        self._changed = new_event()

    def __repr__(self) -> str:
        return f"<Lifespan{f' of {self._name}' if self._name else ''} {self._stage.value}>"

    async def run(self) -> None:
        """Call the application. Returns when it does, whatever it raises; but cancelled is cancelled."""
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": LIFESPAN_SPEC_VERSION},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:  # an application may also call sys.exit()
            self._ended(error)
            if isinstance(error, self._cancelled):
                raise
        else:
            self._ended(None)

    async def startup(self) -> None:
        """Wait until the application is up. Raises BootError if it cannot start."""
        while self.is_starting:
            await self._changed.wait()
        self.check_startup()

    def check_startup(self) -> None:
        """When it is not starting any more: raises BootError if the application could not start."""
        if self._stage is Stage.FAILED:
            subject = self._name or "The application could not start"
            raise BootError(f"{subject}: {self.failure}", self._details)
        if self._stage is not Stage.ABSENT:
            return
        subject = self._name or "The application"
        if self._is_required:
            raise BootError(
                f"{subject} has no lifespan ({self.failure}), but it is asked for: with lifespan auto it is "
                "served without",
                self._details,
            )
        _log.debug("%s has no lifespan: %s", subject, self.failure)
        self.failure = ""

    def stop(self) -> None:
        """Tell the application to shut down."""
        self._is_to_stop = True
        self._tell()

    async def shutdown(self) -> str:
        """Have it shut down and wait until it has. Returns why that failed, or nothing."""
        self.stop()
        while self.is_up:
            await self._changed.wait()
        return self.failure

    @property
    def is_starting(self) -> bool:
        """Whether nobody knows yet if the application will come up."""
        return self._stage in (Stage.CALLED, Stage.STARTING)

    @property
    def is_up(self) -> bool:
        """Whether there is something that can be, or is being, shut down."""
        return self._stage in (Stage.UP, Stage.STOPPING)

    def _set(self, stage: Stage) -> None:
        self._stage = stage
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = self._new_event()
        if self._on_change is not None:
            self._on_change()

    def _came_up(self) -> None:
        """In the application's task, when startup has completed."""
        self.context = contextvars.copy_context()

    async def _receive(self) -> Message:
        if self._stage is Stage.CALLED:
            self._set(Stage.STARTING)
            return {"type": "lifespan.startup"}
        while not self._is_to_stop:
            await self._changed.wait()
        if self._stage is Stage.UP:
            self._set(Stage.STOPPING)
            return {"type": "lifespan.shutdown"}
        await self._new_event().wait()  # for ever
        raise AssertionError("unreachable")

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self.is_starting and kind in _STARTED:
            self._came_up()
            self._set_told(_STARTED[kind], message)
        elif self._stage is Stage.STOPPING and kind in _STOPPED:
            self._set_told(_STOPPED[kind], message)
        else:
            raise RuntimeError(f"{kind!r} cannot come while the lifespan is {self._stage.value}")

    def _set_told(self, stage: Stage, message: Message) -> None:
        """The application has said so. Starlette sends a whole traceback, which ends with the exception."""
        if stage is Stage.FAILED:
            text = message.get("message", "")
            lines = text.strip().splitlines()
            self.failure = lines[-1] if lines else f"it sent {message['type']}"
            self._details = text if len(lines) > 1 else ""
        self._set(stage)

    def _ended(self, error: BaseException | None) -> None:
        """The application has returned or raised; what that means depends on the stage."""
        stage = self._stage
        if self.is_starting:
            self.failure = "it returned" if error is None else _summary(error)
            self._details = "" if error is None else user_traceback(error)
            is_broken = error is not None and stage is Stage.STARTING
            self._set(Stage.FAILED if is_broken else Stage.ABSENT)
            return
        is_known = stage is Stage.FAILED or isinstance(error, self._cancelled)
        if error is not None and not is_known:
            _log.error(
                "The application raised in its lifespan while it was %s",
                stage.value,
                exc_info=(type(error), error, without_our_frames(error.__traceback__)),
            )
        if stage in (Stage.UP, Stage.STOPPING):
            self._set(Stage.DOWN)


_STARTED = {"lifespan.startup.complete": Stage.UP, "lifespan.startup.failed": Stage.FAILED}
_STOPPED = {"lifespan.shutdown.complete": Stage.DOWN, "lifespan.shutdown.failed": Stage.FAILED}


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()
