"""The lifespan of an application that somebody of ours hosts, as the server's side of it.

https://asgi.readthedocs.io/en/latest/specs/lifespan.html. An exception may mean that an application has no
lifespan, or that its startup is broken; what it had done before tells:

    raised, or returned, before it asked for the first message    has none: served without
    returned after it was given ``lifespan.startup``               the same
    sent ``lifespan.startup.failed``, or raised after             fatal
"""

from __future__ import annotations

import contextvars
import enum
import logging
from collections.abc import Mapping
from typing import Any

import anyio

from greenuni.bridge.interfaces import ASGIApp, Message
from greenuni.errors import BootError, user_traceback

_log = logging.getLogger("greenuni.error")
_ABSENT = object()


class Stage(enum.Enum):
    """How far the application has come through its lifespan."""

    CALLED = "called"  # has not asked for a message yet
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    DOWN = "down"
    ABSENT = "absent"  # has no lifespan
    FAILED = "failed"


class Lifespan:
    """One run of the lifespan scope. ``run`` is a task of its own, beside whoever calls the rest.

    ``state`` and ``variables`` are what the application added in its startup to the state and the
    context that it found: they belong into the scopes and the contexts of its requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        name: str,
        outer_state: Mapping[str, Any] | None = None,
        is_required: bool = False,
    ) -> None:
        self.state: dict[str, Any] = {}
        self.variables: list[tuple[contextvars.ContextVar[Any], Any]] = []
        self._app = app
        self._name = name
        self._is_required = is_required
        self._outer_state = dict(outer_state or {})
        self._scope_state = dict(self._outer_state)
        self._outer_context: contextvars.Context | None = None
        self._stage = Stage.CALLED
        self._failure = ""
        self._details = ""
        self._changed = anyio.Event()

    def __repr__(self) -> str:
        return f"<Lifespan of {self._name} {self._stage.value}>"

    async def run(self) -> None:
        """Call the application. Returns when it does, whatever it raises."""
        self._outer_context = contextvars.copy_context()
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._scope_state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - an application may also call sys.exit()
            self._ended(error)
        else:
            self._ended(None)

    async def startup(self) -> None:
        """Wait until the application is up. Raises BootError if it cannot start."""
        while self._stage in (Stage.CALLED, Stage.STARTING):
            await self._changed.wait()
        if self._stage is Stage.FAILED:
            subject = self._name or "The application could not start"
            raise BootError(f"{subject}: {self._failure}", self._details)
        if self._stage is Stage.ABSENT and self._is_required:
            raise BootError(
                f"{self._name or 'The application'} has no lifespan ({self._failure}), but one is required",
                self._details,
            )

    async def shutdown(self) -> str:
        """Have it shut down and wait until it has. Returns why that failed, or nothing."""
        if self._stage is Stage.UP:
            self._set(Stage.STOPPING)
        while self._stage is Stage.STOPPING:
            await self._changed.wait()
        return "" if self._stage is Stage.ABSENT else self._failure

    def enter(self) -> None:
        """Put what startup left in the context into the context of the task that runs."""
        for variable, value in self.variables:
            variable.set(value)

    def _set(self, stage: Stage) -> None:
        self._stage = stage
        self._changed.set()
        self._changed = anyio.Event()

    async def _receive(self) -> Message:
        if self._stage is Stage.CALLED:
            self._set(Stage.STARTING)
            return {"type": "lifespan.startup"}
        while self._stage in (Stage.STARTING, Stage.UP):
            await self._changed.wait()
        if self._stage is Stage.STOPPING:
            return {"type": "lifespan.shutdown"}
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._stage in (Stage.CALLED, Stage.STARTING) and kind in _STARTED:
            self._keep_additions()
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
            self._failure = lines[-1] if lines else "it sent no reason"
            self._details = text if len(lines) > 1 else ""
        self._set(stage)

    def _keep_additions(self) -> None:
        outer = self._outer_state
        for key, value in self._scope_state.items():
            if outer.get(key, _ABSENT) is not value:
                self.state[key] = value
        before = self._outer_context
        for variable, value in contextvars.copy_context().items():
            if before is None or before.get(variable, _ABSENT) is not value:
                self.variables.append((variable, value))

    def _ended(self, error: BaseException | None) -> None:
        """The application has returned or raised; what that means depends on the stage."""
        stage = self._stage
        if stage in (Stage.CALLED, Stage.STARTING):
            self._failure = "it returned" if error is None else repr(error)
            self._details = "" if error is None else user_traceback(error)
            is_broken = error is not None and stage is Stage.STARTING
            self._set(Stage.FAILED if is_broken else Stage.ABSENT)
            return
        if error is not None and stage in (Stage.UP, Stage.STOPPING):
            _log.error("The application raised in its lifespan", exc_info=error)
            self._failure = repr(error) if stage is Stage.STOPPING else ""
        if stage is not Stage.FAILED:
            self._set(Stage.DOWN)


_STARTED = {"lifespan.startup.complete": Stage.UP, "lifespan.startup.failed": Stage.FAILED}
_STOPPED = {"lifespan.shutdown.complete": Stage.DOWN, "lifespan.shutdown.failed": Stage.FAILED}
