"""A real server process for a test to talk to.

::

    with serve("app:app", "--workers", "2", cwd=tmp_path) as server:
        httpx.get(server.url)
        server.signal(signal.SIGHUP)
        server.wait_for_log("ready")

The server binds port 0 of loopback; its address is read from the line ``Listening at: ...``. Whatever it
prints is kept in ``server.log``, and ``serve`` prints it when the test fails. Nothing here sleeps blindly:
``wait_until`` polls a condition with a deadline.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

POLL_SECONDS = 0.02
LISTENING = re.compile(
    r"Listening at: (?:http://(?P<host>\[[^\]]+\]|[^:\s]+):(?P<port>\d+)|unix:(?P<path>\S+))"
)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 10) -> None:
    """Poll until ``condition()`` is true. Raises AssertionError naming ``what`` after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(POLL_SECONDS)


def process_exists(pid: int) -> bool:
    """Whether ``pid`` runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Server:
    """A running ``python -m greenuni``."""

    def __init__(self, *arguments: str, cwd: Path | str, environment: Mapping[str, str]) -> None:
        self.log = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "greenuni", *arguments],
            cwd=cwd,
            env={**_clean_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log += line

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        match = LISTENING.search(self.log)
        assert match, f"no listening address in the log:\n{self.log}"
        return int(match["port"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The arbiter's live children, oldest first."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except FileNotFoundError:
            return []
        return sorted(pid for pid in map(int, children) if process_exists(pid))

    def connect(self, timeout: float = 10) -> socket.socket:
        """A plain connected socket."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def wait_for_log(self, pattern: str, count: int = 1, seconds: float = 15) -> None:
        """Wait until ``pattern`` (a regular expression) stands in the log ``count`` times."""
        wait_until(
            lambda: len(re.findall(pattern, self.log)) >= count or not self.running(),
            f"{pattern!r} {count} times in the log:\n{self.log}",
            seconds,
        )
        self._reader_catches_up()
        found = len(re.findall(pattern, self.log))
        assert found >= count, f"{pattern!r} not in the log of an ended server:\n{self.log}"

    def wait_until_ready(self, seconds: float = 20) -> None:
        """Wait until the first worker has said that it serves."""
        self.wait_for_log(r"Serving ", seconds=seconds)

    def running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 15) -> int:
        """The exit status, once the server has ended by itself."""
        status = self.process.wait(seconds)
        self._reader_catches_up()
        return status

    def stop(self) -> int:
        """End it gracefully if it still runs; by force if that does not help."""
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            return self.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def _reader_catches_up(self) -> None:
        if not self.running():
            self._reader.join(2)


def _clean_environment() -> dict[str, str]:
    """The environment less what would change a server's settings; a pure test has pure servers."""
    unwanted = ("GREENUNI_", "GUNICORN_", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS")
    kept = {
        k: v for k, v in os.environ.items() if k == "GREENUNI_PURE" or not k.startswith(unwanted)
    }
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def serve(
    *arguments: str,
    cwd: Path | str = ".",
    bind: str | None = "127.0.0.1:0",
    environment: Mapping[str, str] | None = None,
    wait: bool = True,
) -> Iterator[Server]:
    """Start a server and, unless ``wait`` is false, wait until it serves; stop it afterwards."""
    address = ("--bind", bind) if bind else ()
    server = Server(*address, *arguments, cwd=cwd, environment=environment or {})
    try:
        if wait:
            server.wait_until_ready()
        yield server
    except BaseException:
        print(f"--- log of {' '.join(arguments)} ---\n{server.log}--- end of log ---")
        raise
    finally:
        server.stop()
        if server.process.stdout is not None:
            server._reader.join(2)
            server.process.stdout.close()
