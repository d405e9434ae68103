"""What handing connections from worker to worker gains, and what it costs.

::

    python3 benchmarks/handoff.py         # prints its figures; half a minute

With the greenuni of the interpreter that runs it. Three parts:

- *Mixed load.* Two sync workers. One client holds a request of 5 s on a kept-alive connection, while eight
  keep-alive clients send requests of 5 ms each, one after the other. Before that every connection has been
  used, so half of the eight are with the worker that will be busy.
- *CPU of a hand-off.* Two pools of one WSGI worker each. A keep-alive client that alternates between them,
  beside one that stays with the first: what a request costs more is one hand-off. The CPU is that of the
  whole server, as the kernel's scheduler counts it.
- *CPU without one.* The same client at a server with one application: one worker, and two workers, of
  which each watches how long its calls take.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

APPS = Path(__file__).parent / "apps"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
POOLS = """
bind = "127.0.0.1:0"
[pools.site]
app = "handoff_app:hello"
[pools.api]
app = "handoff_app:hello"
mount = "/api"
"""
CLIENTS = 8
LONG, SHORT = 5.0, 0.005  # seconds that the application takes
REQUESTS = 20_000
ROUNDS = 5


class Server:
    """A server that answers, and its processes."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=30)

    def cpu(self) -> float:
        """Seconds that all of its processes have used."""
        return sum(map(cpu_of, self.pids()))

    def pids(self) -> list[int]:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


def cpu_of(pid: int) -> float:
    """The scheduler's own account is exact; that of /proc/PID/stat counts whole ticks."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextlib.contextmanager
def serving(
    *arguments: str, toml: str = 'bind = "127.0.0.1:0"\n', workers: int
) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "greenuni.toml").write_text(toml)
        command = [sys.executable, "-m", "greenuni", "--pythonpath", str(APPS), *arguments]
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        log = ""
        try:
            assert process.stdout is not None
            while log.count("Booting worker") < workers or "Serving" not in log:
                line = process.stdout.readline()
                if not line:
                    sys.exit(f"The server has ended:\n{log}")
                log += line
            time.sleep(0.5)  # the last worker is about to be ready
            (port,) = re.findall(r"Listening at: http://127.0.0.1:(\d+)", log)
            yield Server(process, int(port))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def get(connection: HTTPConnection, target: str) -> float:
    """Seconds that one request took."""
    began = time.monotonic()
    connection.request("GET", target)
    response = connection.getresponse()
    if response.status != 200 or response.read() != b"hello":
        sys.exit(f"{target} is answered with {response.status}")
    return time.monotonic() - began


def mixed_load() -> None:
    with serving("handoff_app:wait", "--workers", "2", workers=2) as server:
        clients = [server.connect() for _ in range(CLIENTS + 1)]
        for client in clients:
            get(client, "/")
        holder = threading.Thread(target=get, args=(clients[-1], f"/?{LONG}"))
        holder.start()
        times: list[float] = []
        threads = [threading.Thread(target=ask, args=(it, holder, times)) for it in clients[:-1]]
        for thread in threads:
            thread.start()
        for thread in (holder, *threads):
            thread.join()
    times.sort()
    shares = ((1, "all"), (0.99, "99 %"), (0.5, "half"))
    found = ", ".join(
        f"{times[int(len(times) * s) - 1] * 1000:.1f} ms ({name})" for s, name in shares
    )
    print(f"mixed load: {len(times)} requests took at most {found}")


def ask(client: HTTPConnection, holder: threading.Thread, times: list[float]) -> None:
    while holder.is_alive():
        times.append(get(client, f"/?{SHORT}"))


def cpu_a_request(server: Server, *targets: str) -> float:
    """Microseconds of the server's CPU; the least of some rounds, for others only ever add to it."""
    client = server.connect()
    found = []
    for _ in range(ROUNDS):
        before = server.cpu()
        for number in range(REQUESTS // ROUNDS):
            get(client, targets[number % len(targets)])
        found.append((server.cpu() - before) / (REQUESTS // ROUNDS) * 1e6)
    return min(found)


def cpu_of_a_hand_off() -> None:
    with serving(toml=POOLS, workers=2) as server:
        stays = cpu_a_request(server, "/")
        travels = cpu_a_request(server, "/", "/api")
    print(
        f"two pools: {stays:.1f} us a request that stays, {travels:.1f} us one that travels: "
        f"{travels - stays:.1f} us a hand-off"
    )


def cpu_without() -> None:
    for workers in (1, 2):
        with serving("handoff_app:hello", "--workers", str(workers), workers=workers) as server:
            print(
                f"one application, {workers} workers: {cpu_a_request(server, '/'):.1f} us a request"
            )


def main() -> None:
    mixed_load()
    cpu_of_a_hand_off()
    cpu_without()


if __name__ == "__main__":
    main()
