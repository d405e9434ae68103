"""The lifespan of an application that is hosted beside others, or by somebody else's server."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import Any

import anyio

from greenuni import lifespan
from greenuni.bridge.interfaces import ASGIApp

_ABSENT = object()


class Lifespan(lifespan.Lifespan):
    """As its base, and keeps what startup *added*: what was there before belongs to somebody else.

    ``additions`` and ``variables`` are what the application added to the state and the context that it
    found: they belong into the scopes and the contexts of its requests. Make it in the loop that it runs in.
    """

    def __init__(
        self,
        app: ASGIApp,
        name: str,
        outer_state: Mapping[str, Any] | None = None,
        is_required: bool = False,
    ) -> None:
        self._outer_state = dict(outer_state or {})
        super().__init__(
            app,
            anyio.Event,
            anyio.get_cancelled_exc_class(),
            name=name,
            state=dict(self._outer_state),
            is_required=is_required,
        )
        self.additions: dict[str, Any] = {}
        self.variables: list[tuple[contextvars.ContextVar[Any], Any]] = []

    def enter(self) -> None:
        """Put what startup left in the context into the context of the task that runs."""
        for variable, value in self.variables:
            variable.set(value)

    def _came_up(self) -> None:
        before = self.context
        super()._came_up()
        for key, value in self.state.items():
            if self._outer_state.get(key, _ABSENT) is not value:
                self.additions[key] = value
        for variable, value in self.context.items():
            if before.get(variable, _ABSENT) is not value:
                self.variables.append((variable, value))
