"""What becomes of requests whose client goes, and of those that run when the server is told to end.

::

    export PYTHONPATH=benchmarks
    python3 benchmarks/behaviour/run.py                 # prints two tables; about a minute
    python3 benchmarks/behaviour/run.py --into FILE     # writes the page, as make bench-behaviour does
    python3 benchmarks/behaviour/run.py --checkout      # greenuni as it was built in place

The same Starlette application under each server, with the server's own defaults. Nothing is measured but
what a client and the application see; all servers run at once, as they do nothing but wait.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands import BenchError
from durations import HANDLER_SECONDS, PLAIN_SECONDS
from environment import ROOT, Bench, build
from tables import table

HERE = Path(__file__).resolve().parent
LEAVE_AFTER = 1.5  # seconds into a request
WATCHED = 40.0  # seconds after TERM
START_BUDGET = 30.0  # seconds
ON_TIME = 0.25  # seconds; what happened within them happened at once

GENERATED = "<!-- Rendered by make bench-behaviour from its run. Do not edit. -->"
LEAVING = f"""\
## The client goes

{LEAVE_AFTER:g} s into the request. The handlers would otherwise run for
{HANDLER_SECONDS:g} s. All defaults."""
ENDING = """\
## The server is told to end

TERM to the main process while one request is in flight. All defaults."""

LEAVING_HEAD = ["server", "silent event stream", "plain `async def` handler", "`is_disconnected()`"]
ENDING_HEAD = [
    "server",
    f"{PLAIN_SECONDS:g} s plain request",
    "endless event stream ends",
    "process ends",
    "lifespan shutdown",
    "new connection 1 s after",
]


@dataclass(frozen=True)
class Contestant:
    """One row. ``command`` is filled in with ``port``."""

    title: str
    distribution: str
    command: str


OURS = "python -m greenuni --bind 127.0.0.1:{port} behaviour_app:app"
CONTESTANTS = (
    Contestant("greenuni", "greenuni", OURS),
    Contestant(
        "greenuni `--on-disconnect cancel:2`", "greenuni", f"{OURS} --on-disconnect cancel:2"
    ),
    Contestant("uvicorn", "uvicorn", "uvicorn --port {port} behaviour_app:app"),
    Contestant(
        "gunicorn `-k asgi`", "gunicorn", "gunicorn -k asgi -b 127.0.0.1:{port} behaviour_app:app"
    ),
    Contestant("hypercorn", "hypercorn", "hypercorn --bind 127.0.0.1:{port} behaviour_app:app"),
    Contestant("granian", "granian", "granian --interface asgi --port {port} behaviour_app:app"),
)


class Running:
    """A server process, and what its application has written down."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self._port = port
        self._log = log

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=WATCHED + 5)

    def ask(self, path: str) -> socket.socket:
        """A connection on which a request has been sent."""
        client = self.connect()
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client

    def noted(self, word: str) -> float | None:
        """When the application wrote it down, by the monotonic clock."""
        for line in self._log.read_text().splitlines():
            found, at = line.split()
            if found == word:
                return float(at)
        return None

    def wait(self, seconds: float) -> float | None:
        """Seconds until the process ended; None when it did not within so many."""
        began = time.monotonic()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began


@contextmanager
def running(contestant: Contestant, bench: Bench) -> Iterator[Running]:
    """The contestant, once it takes connections. Raises ``BenchError`` when it does not."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = contestant.command.format(port=port).split()
    environment = bench.process_environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), environment["PYTHONPATH"]])
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        log.touch()
        process = subprocess.Popen(
            [str(bench.bin / command[0]), *command[1:]],
            cwd=directory,
            env={**environment, "BEHAVIOUR_LOG": str(log)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        server = Running(process, port, log)
        try:
            _wait_until_it_listens(contestant, server)
            yield server
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended as it was told
            process.wait()


def _wait_until_it_listens(contestant: Contestant, server: Running) -> None:
    deadline = time.monotonic() + START_BUDGET
    while time.monotonic() < deadline:
        try:
            server.connect().close()
        except OSError:
            time.sleep(0.05)
        else:
            time.sleep(1)  # some listen before they serve
            return
    raise BenchError(f"{contestant.title} does not take connections")


def read_all(client: socket.socket) -> tuple[bytes, float]:
    """Everything until the end, orderly or not, of the connection; and when the last of it came."""
    received, last = b"", time.monotonic()
    try:
        while data := client.recv(65536):
            received, last = received + data, time.monotonic()
    except OSError:
        pass  # it was reset
    return received, last


# The client goes


def leaving(contestant: Contestant, bench: Bench) -> list[str]:
    """A row of the first table."""
    with running(contestant, bench) as server:
        clients = [server.ask(path) for path in ("/silent", "/handler", "/poll")]
        time.sleep(LEAVE_AFTER)
        left_at = time.monotonic()
        for client in clients:
            client.close()
        time.sleep(HANDLER_SECONDS)
        silent, handler, poll = map(server.noted, ("silent", "handler", "poll"))
    wasted = HANDLER_SECONDS - LEAVE_AFTER
    return [
        contestant.title,
        "never" if silent is None else f"ended after {silent - left_at:.1f} s",
        "**runs to its end**"
        if handler is None or handler - left_at > wasted - ON_TIME
        else f"cancelled after {handler - left_at:.1f} s",
        _seen(poll, left_at),
    ]


def _seen(at: float | None, left_at: float) -> str:
    if at is None:
        return "**never**"
    if at < left_at:
        return f"**says so {left_at - at:.1f} s too early**"
    return f"sees it after {at - left_at:.1f} s"


# The server is told to end


def ending(contestant: Contestant, bench: Bench) -> list[str]:
    """A row of the second table."""
    return [contestant.title, end_plain(contestant, bench), *end_stream(contestant, bench)]


def end_plain(contestant: Contestant, bench: Bench) -> str:
    """What becomes of a plain request."""
    with running(contestant, bench) as server:
        client = server.ask("/plain")
        time.sleep(1)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        response, _ = read_all(client)
        took = time.monotonic() - began
    if response.endswith(b"done") or b"\r\ndone\r\n0\r\n" in response:
        return "completes"
    return f"**broken off at {took:.1f} s**"


def end_stream(contestant: Contestant, bench: Bench) -> list[str]:
    """When the process ends, and how the stream, the lifespan and new clients do."""
    with running(contestant, bench) as server:
        client = server.ask("/endless")
        client.recv(100)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_all, client)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            newcomer = _newcomer(server)
            took = server.wait(WATCHED - 1)
            has_shut_down = server.noted("lifespan-shutdown") is not None
            os.killpg(server.process.pid, signal.SIGKILL) if took is None else None
            stream, last = reading.result()
    is_whole = stream.endswith(b"0\r\n\r\n")
    end = "whole" if is_whole else "**not whole**"
    return [
        "**never**" if took is None else f"after {last - began:.1f} s, {end}",
        f"**never** ({WATCHED:g} s watched)" if took is None else f"{took + 1:.1f} s",
        "runs" if has_shut_down else "**does not run**",
        newcomer,
    ]


def _newcomer(server: Running) -> str:
    try:
        server.connect().close()
    except OSError:
        return "refused"
    return "accepted"


# The page


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkout", action="store_true", help="do not install greenuni")
    parser.add_argument("--into", type=Path, metavar="FILE", help="write the page there")
    options = parser.parse_args()
    try:
        bench = build(
            Path(ROOT, ".bench"), sys.executable, with_bjoern=False, checkout=options.checkout
        )
        page = report(bench)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(page)
    if options.into is not None:
        options.into.write_text(page)
    return 0


def report(bench: Bench) -> str:
    """Run everything, and say what was found as a page of Markdown."""
    with concurrent.futures.ThreadPoolExecutor(2 * len(CONTESTANTS)) as pool:
        leaving_rows = [pool.submit(leaving, row, bench) for row in CONTESTANTS]
        # The rule for clients that go changes nothing here.
        ending_rows = [
            pool.submit(ending, row, bench) for row in CONTESTANTS if row != CONTESTANTS[1]
        ]
        leaving_table = [LEAVING_HEAD, *(row.result() for row in leaving_rows)]
        ending_table = [ENDING_HEAD, *(row.result() for row in ending_rows)]
    names = dict.fromkeys(row.distribution for row in CONTESTANTS if row.distribution != "greenuni")
    versions = ", ".join(f"{name} {bench.versions.get(name, '?')}" for name in names)
    return "\n\n".join(
        [
            "# What becomes of requests when clients go and servers end",
            GENERATED,
            f"The same Starlette application under each server: this checkout of greenuni,\n{versions};\n"
            f"{bench.python}.\nWhat is meant is in [long-requests.md](long-requests.md).",
            LEAVING,
            table(leaving_table, len(LEAVING_HEAD)),
            ENDING,
            table(ending_table, len(ENDING_HEAD)) + "\n",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
