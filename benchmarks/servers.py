"""Who takes part: one row a server, each with one worker process.

Everything that is not about the contest (parser, loop, threads, access log off) is left at the
server's own default, but where its own benchmarks or documents say what is faster. Commands run in
``apps/`` with the scripts of the benchmark's environment first on the PATH.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from workloads import Interface

PURE = {"GREENUNI_PURE": "1"}


@dataclass(frozen=True)
class Server:
    """How to start one server. ``command`` is filled in with ``app`` and ``port``."""

    name: str
    title: str
    interface: Interface
    distribution: str  # the package whose version the report prints
    command: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Greenuni itself, as opposed to a rival."""
        return self.distribution == "greenuni"

    @property
    def is_pure(self) -> bool:
        """Greenuni without its compiled modules."""
        return self.is_ours and bool(self.environment)

    def argv(self, app: str, port: int) -> list[str]:
        """The command line that serves ``app`` on 127.0.0.1:``port``."""
        return [word.format(app=app, port=port) for word in self.command.split()]

    def with_flags(self, flags: str) -> Server:
        """The same server with more words on its command line."""
        return replace(self, command=f"{self.command} {flags}")


_BIND = "--host 127.0.0.1 --port {port} --log-level warning"
_GREENUNI_WSGI = (
    "python -m greenuni --bind 127.0.0.1:{port} --log-level warning --interface wsgi {app}"
)
_GREENUNI_ASGI = (
    "python -m greenuni --bind 127.0.0.1:{port} --log-level warning --interface asgi {app}"
)
_GUNICORN = "gunicorn --bind 127.0.0.1:{port} --log-level warning {app}"
_UVICORN = f"uvicorn {_BIND} --no-access-log {{app}}"
# What granian's own benchmarks pass.
_GRANIAN = f"granian {_BIND} --http 1 --no-ws {{app}}"


def _ours(name: str, title: str, interface: Interface, flags: str) -> Server:
    command = _GREENUNI_WSGI if interface == "wsgi" else _GREENUNI_ASGI
    return Server(name, title, interface, "greenuni", f"{command} {flags}")


def _pure(server: Server) -> Server:
    """The same, run from the Python sources."""
    title = f"{server.title}, pure Python"
    return replace(server, name=f"{server.name}-pure", title=title, environment=PURE)


def _rival(name: str, title: str, interface: Interface, command: str) -> Server:
    return Server(name, title, interface, title.split()[0], command)


_SYNC = _ours("greenuni-sync", "greenuni sync", "wsgi", "--threads 1")
_UVLOOP = _ours("greenuni-uvloop", "greenuni (uvloop)", "asgi", "--loop uvloop")

SERVERS = (
    _SYNC,
    _ours("greenuni-threads", "greenuni, 4 threads", "wsgi", "--threads 4"),
    _rival("bjoern", "bjoern (C)", "wsgi", "python serve_bjoern.py {app} {port}"),
    _rival("granian-wsgi", "granian wsgi (Rust)", "wsgi", f"{_GRANIAN} --interface wsgi"),
    _rival("gunicorn-sync", "gunicorn sync", "wsgi", f"{_GUNICORN} --worker-class sync"),
    _rival(
        "gunicorn-gthread",
        "gunicorn gthread, 4 threads",
        "wsgi",
        f"{_GUNICORN} --worker-class gthread --threads 4",
    ),
    _rival(
        "waitress",
        "waitress, 4 threads",
        "wsgi",
        "waitress-serve --listen=127.0.0.1:{port} --threads=4 {app}",
    ),
    _UVLOOP,
    _ours("greenuni-asyncio", "greenuni (asyncio)", "asgi", "--loop asyncio"),
    _rival("granian-asgi", "granian asgi (Rust)", "asgi", f"{_GRANIAN} --interface asgi"),
    _rival(
        "uvicorn-httptools",
        "uvicorn (uvloop, httptools)",
        "asgi",
        f"{_UVICORN} --loop uvloop --http httptools",
    ),
    _rival(
        "uvicorn-h11", "uvicorn (asyncio, h11)", "asgi", f"{_UVICORN} --loop asyncio --http h11"
    ),
    _rival("gunicorn-asgi", "gunicorn asgi", "asgi", f"{_GUNICORN} --worker-class asgi"),
    _rival(
        "gunicorn-uvicorn",
        "gunicorn, uvicorn's worker",
        "asgi",
        f"{_GUNICORN} --worker-class uvicorn.workers.UvicornWorker",
    ),
    _rival("hypercorn", "hypercorn", "asgi", "hypercorn --bind 127.0.0.1:{port} {app}"),
    _pure(_SYNC),
    _pure(_UVLOOP),
)

BY_NAME = {server.name: server for server in SERVERS}
QUICK = ("greenuni-sync", "gunicorn-sync", "greenuni-uvloop", "uvicorn-httptools")
