"""What greenuni promises, as data: at most so much, or at most so many times a rival's figure."""

from __future__ import annotations

from dataclasses import dataclass

from figures import CONNECTION, IDLE, P99_OWN, UNEVEN, Figures
from servers import BY_NAME

GRANIAN_WSGI = ("granian-wsgi",)
GRANIAN_ASGI = ("granian-asgi",)
BJOERN = ("bjoern",)
UVICORN = ("uvicorn-httptools", "uvicorn-h11", "gunicorn-uvicorn")


def _rivals(interface: str) -> tuple[str, ...]:
    """Every rival that serves an interface."""
    servers = BY_NAME.values()
    return tuple(s.name for s in servers if s.interface == interface and not s.is_ours)


@dataclass(frozen=True)
class Target:
    """``ours`` must be at most ``factor`` times the best of ``rivals``, or ``factor`` itself."""

    words: str
    measure: str
    ours: str
    factor: float
    than: str = ""  # the rivals in words
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """How a target was met in one run. ``bound`` is in the measure's own unit."""

    measured: float
    bound: float
    rival: str = ""  # the best one, its name
    rival_measured: float = 0.0

    @property
    def is_met(self) -> bool:
        """At most what was promised."""
        return self.measured <= self.bound


def _wsgi(words: str, measure: str, factor: float, than: str, rivals: tuple[str, ...]) -> Target:
    return Target(f"WSGI {words}", measure, "greenuni-sync", factor, than, rivals)


def _asgi(words: str, measure: str, factor: float, than: str, rivals: tuple[str, ...]) -> Target:
    return Target(f"ASGI {words}", measure, "greenuni-uvloop", factor, than, rivals)


def _threads(factor: float, than: str, rivals: tuple[str, ...]) -> Target:
    return Target("WSGI hello, 4 threads", "hello", "greenuni-threads", factor, than, rivals)


TARGETS = (
    _asgi("hello", "hello", 0.60, "granian asgi", GRANIAN_ASGI),
    _asgi("hello, 11 browser headers", "browser", 0.65, "granian asgi", GRANIAN_ASGI),
    _asgi(
        "POST 1 KiB, echoed",
        "echo",
        0.60,
        "the best of uvicorn, granian, gunicorn",
        (*UVICORN, *GRANIAN_ASGI, "gunicorn-asgi"),
    ),
    _asgi("100 KB body", "large", 0.75, "the best of uvicorn, granian", UVICORN + GRANIAN_ASGI),
    _wsgi("hello", "hello", 1.00, "bjoern", BJOERN),
    _wsgi("hello", "hello", 0.65, "granian wsgi", GRANIAN_WSGI),
    _wsgi("hello, 11 browser headers", "browser", 1.00, "bjoern", BJOERN),
    _wsgi("hello, 11 browser headers", "browser", 0.65, "granian wsgi", GRANIAN_WSGI),
    _wsgi("POST 1 KiB, echoed", "echo", 1.00, "bjoern", BJOERN),
    _wsgi("POST 1 KiB, echoed", "echo", 0.65, "granian wsgi", GRANIAN_WSGI),
    _wsgi("100 KB body", "large", 0.60, "granian wsgi", GRANIAN_WSGI),
    _threads(1.50, "granian wsgi", GRANIAN_WSGI),
    _threads(0.25, "gunicorn gthread", ("gunicorn-gthread",)),
    _asgi(
        "a connection per request",
        "close",
        1.00,
        "the best of granian, uvicorn",
        UVICORN + GRANIAN_ASGI,
    ),
    _wsgi("a connection per request", "close", 1.20, "bjoern", BJOERN),
    _wsgi("Flask hello", "flask", 1.00, "the best rival", _rivals("wsgi")),
    _asgi("FastAPI hello", "fastapi", 1.00, "the best rival", _rivals("asgi")),
    _wsgi("arbiter and one idle worker", IDLE, 20.0, "", ()),
    _asgi("arbiter and one idle worker", IDLE, 28.0, "", ()),
    _wsgi("an idle connection", CONNECTION, 3.0, "", ()),
    _asgi("an idle connection", CONNECTION, 6.0, "", ()),
    _wsgi("p99 at half of saturation", P99_OWN, 1.00, "the best rival", _rivals("wsgi")),
    _asgi("p99 at half of saturation", P99_OWN, 1.00, "the best rival", _rivals("asgi")),
    _wsgi("4 workers, 64 connections", UNEVEN, 4.0, "", ()),
    _asgi("4 workers, 64 connections", UNEVEN, 4.0, "", ()),
)


def judge(target: Target, figures: Figures) -> Verdict | None:
    """How a target was met, or None when its servers were not measured."""
    measured = figures.median(target.measure, target.ours)
    if measured is None:
        return None
    if not target.rivals:
        return Verdict(measured, target.factor)
    known = {name: figures.median(target.measure, name) for name in target.rivals}
    times = {name: value for name, value in known.items() if value is not None}
    if not times:
        return None
    best = min(times, key=times.__getitem__)
    return Verdict(measured, target.factor * times[best], best, times[best])
