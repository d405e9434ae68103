"""Who takes part: one row a server, each with one worker process.

Everything that is not about the contest (parser, loop, threads, access log off) is left at the
server's own default. Commands run in ``apps/`` with the scripts of the benchmark's environment
first on the PATH.
"""

from __future__ import annotations

from dataclasses import dataclass

from workloads import Interface


@dataclass(frozen=True)
class Server:
    """How to start one server. ``command`` is filled in with ``app`` and ``port``."""

    name: str
    title: str
    interface: Interface
    distribution: str  # the package whose version the report prints
    command: str

    @property
    def is_ours(self) -> bool:
        """Greenuni itself, as opposed to a rival."""
        return self.distribution == "greenuni"

    def argv(self, app: str, port: int) -> list[str]:
        """The command line that serves ``app`` on 127.0.0.1:``port``."""
        return [word.format(app=app, port=port) for word in self.command.split()]


_GREENUNI = "greenuni --bind 127.0.0.1:{port} --log-level warning"
_GUNICORN = "gunicorn --bind 127.0.0.1:{port} --log-level warning"
_UVICORN = "uvicorn --host 127.0.0.1 --port {port} --log-level warning --no-access-log"
_GRANIAN = "granian --host 127.0.0.1 --port {port} --log-level warning"

SERVERS = (
    Server(
        "greenuni-sync",
        "greenuni sync",
        "wsgi",
        "greenuni",
        f"{_GREENUNI} --interface wsgi --threads 1 {{app}}",
    ),
    Server(
        "greenuni-threads",
        "greenuni, 4 threads",
        "wsgi",
        "greenuni",
        f"{_GREENUNI} --interface wsgi --threads 4 {{app}}",
    ),
    Server(
        "gunicorn-sync",
        "gunicorn sync",
        "wsgi",
        "gunicorn",
        f"{_GUNICORN} --worker-class sync {{app}}",
    ),
    Server(
        "gunicorn-gthread",
        "gunicorn gthread, 4 threads",
        "wsgi",
        "gunicorn",
        f"{_GUNICORN} --worker-class gthread --threads 4 {{app}}",
    ),
    Server(
        "waitress",
        "waitress, 4 threads",
        "wsgi",
        "waitress",
        "waitress-serve --listen=127.0.0.1:{port} --threads=4 {app}",
    ),
    Server(
        "granian-wsgi",
        "granian wsgi (Rust)",
        "wsgi",
        "granian",
        f"{_GRANIAN} --interface wsgi {{app}}",
    ),
    Server("bjoern", "bjoern (C)", "wsgi", "bjoern", "python serve_bjoern.py {app} {port}"),
    Server(
        "greenuni-asyncio",
        "greenuni (asyncio, h11)",
        "asgi",
        "greenuni",
        f"{_GREENUNI} --interface asgi --loop asyncio {{app}}",
    ),
    Server(
        "greenuni-uvloop",
        "greenuni (uvloop, h11)",
        "asgi",
        "greenuni",
        f"{_GREENUNI} --interface asgi --loop uvloop {{app}}",
    ),
    Server(
        "uvicorn-h11",
        "uvicorn (asyncio, h11)",
        "asgi",
        "uvicorn",
        f"{_UVICORN} --loop asyncio --http h11 {{app}}",
    ),
    Server(
        "uvicorn-httptools",
        "uvicorn (uvloop, httptools)",
        "asgi",
        "uvicorn",
        f"{_UVICORN} --loop uvloop --http httptools {{app}}",
    ),
    Server(
        "gunicorn-asgi",
        "gunicorn asgi",
        "asgi",
        "gunicorn",
        f"{_GUNICORN} --worker-class asgi {{app}}",
    ),
    Server(
        "hypercorn", "hypercorn", "asgi", "hypercorn", "hypercorn --bind 127.0.0.1:{port} {app}"
    ),
    Server(
        "granian-asgi",
        "granian asgi (Rust)",
        "asgi",
        "granian",
        f"{_GRANIAN} --interface asgi {{app}}",
    ),
)

BY_NAME = {server.name: server for server in SERVERS}
QUICK = ("greenuni-sync", "greenuni-asyncio")
