"""The benchmark's own arithmetic, and that it notices what makes a measurement worthless."""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

BURN_HALF_A_SECOND = """
import time
while time.process_time() < 0.5: pass
"""
REAP_A_CHILD_THAT_BURNS = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN_HALF_A_SECOND!r}])
print("reaped", flush=True)
sys.stdin.read()
"""


ACCEPT_ONE = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    accepted, _ = listener.accept()
    print("accepted", flush=True)
    sys.stdin.read()
"""


class Accepting(NamedTuple):
    """A process that leads a session of its own and holds one accepted connection."""

    pid: int
    port: int


def module(name: str) -> Any:
    return importlib.import_module(name)


def test_every_server_runs_some_workload_and_names_are_unique() -> None:
    servers, workloads = module("servers"), module("workloads")
    assert len(servers.BY_NAME) == len(servers.SERVERS)
    assert len(workloads.BY_NAME) == len(workloads.WORKLOADS)
    assert set(servers.QUICK) <= set(servers.BY_NAME)
    for server in servers.SERVERS:
        assert any(server.interface in workload.apps for workload in workloads.WORKLOADS)


def options(*names: str, workloads: tuple[str, ...] = ("hello",), rounds: int = 1) -> Any:
    return module("sections").Options(
        servers=tuple(module("servers").BY_NAME[name] for name in names),
        workloads=tuple(module("workloads").BY_NAME[name] for name in workloads),
        rounds=rounds,
        seconds=1,
        connections=64,
        idle_connections=10,
    )


def test_rounds_alternate_their_direction() -> None:
    asked = options("greenuni-sync", "bjoern", workloads=("hello", "fastapi"), rounds=2)
    order = [visit.server.name for visit in module("speed").visits(asked)]
    assert order == ["greenuni-sync", "bjoern", "bjoern", "greenuni-sync"]


def test_workloads_of_one_application_share_a_server() -> None:
    asked = options("greenuni-sync", workloads=("hello", "echo", "close"))
    visits = list(module("speed").visits(asked))
    assert [[load.name for load in visit.workloads] for visit in visits] == [
        ["hello", "close"],
        ["echo"],
    ]


def test_interfaces_do_not_mix_within_a_round() -> None:
    asked = options("greenuni-uvloop", "bjoern", "granian-asgi", "greenuni-sync")
    order = [visit.server.interface for visit in module("speed").visits(asked)]
    assert order == ["wsgi", "wsgi", "asgi", "asgi"]


def test_more_flags_do_not_touch_the_row() -> None:
    server = module("servers").BY_NAME["uvicorn-h11"]
    assert server.with_flags("--workers 4").argv("app:app", 1)[-2:] == ["--workers", "4"]
    assert "--workers" not in server.argv("app:app", 1)


def test_sections_ask_for_servers_that_exist() -> None:
    known = set(module("servers").BY_NAME)
    for names in (
        module("latency").SERVERS,
        module("fairness").SERVERS,
        module("memory").IDLE_FLAGS,
        module("smoke").SERVERS,
    ):
        assert set(names) <= known


def test_progress_learns_from_how_the_guesses_turned_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, step = module("run"), module("sections").Step
    monkeypatch.setattr(run.time, "monotonic", iter([0.0, 120.0]).__next__)
    slow, other = step("slow", 60.0, list), step("other", 120.0, list)
    progress = run.Progress(iter([slow, other]))
    progress.done(slow, "")
    assert capsys.readouterr().err == "[1/2] slow  4 min left\n"


def test_a_whole_run_measures_everything_and_a_quick_one_the_least() -> None:
    parse, results = module("run")._parse, module("results")
    whole, quick = parse([]), parse(["--quick", "--rounds", "2"])
    assert tuple(whole.only) == tuple(quick.only) == results.SECTION_NAMES
    assert set(whole.servers) == set(module("servers").BY_NAME)
    assert (whole.rounds, whole.idle_connections) == (3, 10_000)
    assert (quick.rounds, quick.idle_connections) == (2, 1000)
    assert quick.servers == module("servers").QUICK


def smoke(
    monkeypatch: pytest.MonkeyPatch, microseconds: float, modules: int, fails: str = ""
) -> int:
    """The exit status of the smoke test, of servers that each took so long."""
    smoke_, environment, sections = module("smoke"), module("environment"), module("sections")

    def measure(name: str) -> list[dict[str, Any]]:
        if name == fails:
            raise module("commands").BenchError("no answer")
        cost = microseconds if name.startswith("greenuni") else 10.0
        times = {"requests": 1_000_000, "wall_seconds": 1.0, "cpu_seconds": cost}
        return [{"workload": "hello", "server": name, **times}]

    def steps(stage: Any) -> list[Any]:
        servers = stage.options.servers
        return [sections.Step(s.name, 1.0, lambda s=s: measure(s.name)) for s in servers]

    bench = environment.Bench(Path(), "CPython", modules, {})
    monkeypatch.setattr(smoke_, "find_wrk", lambda: "wrk")
    monkeypatch.setattr(smoke_, "find_compiler", lambda: "cc")
    monkeypatch.setattr(smoke_, "build", lambda *_, **__: bench)
    monkeypatch.setattr(smoke_.speed, "steps", steps)
    status: int = smoke_.main(Path(), sys.executable)
    return status


def test_smoke_never_fails_on_a_ratio(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(monkeypatch, 900.0, modules=9) == 0
    assert "greenuni-sync 900.0 us, gunicorn-sync 10.0 us, ratio 90.00" in capsys.readouterr().out


def test_smoke_fails_without_the_engine_or_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert smoke(monkeypatch, 5.0, modules=0) == 1
    assert smoke(monkeypatch, 5.0, modules=9, fails="gunicorn-sync") == 1


def test_a_step_that_fails_is_an_error_of_its_section() -> None:
    run, section = module("run"), module("results").Section(machine={}, settings={})

    def fail() -> list[Any]:
        raise module("commands").BenchError("wrk saw no request answered")

    step = module("sections").Step("hello of bjoern", 1.0, fail)
    run._run_step(step, section, run.Progress(iter([step])))
    assert section.errors == ["hello of bjoern: wrk saw no request answered"]


def test_cpu_time_of_reaped_children_counts() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", REAP_A_CHILD_THAT_BURNS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reaped\n"
        assert module("processes").session_cpu_seconds(process.pid) >= 0.45
        process.kill()
    assert module("processes").session_cpu_seconds(process.pid) == 0


def test_cpu_time_of_the_living_counts_to_the_microsecond() -> None:
    before = module("processes")._cpu_seconds(os.getpid())
    end = time.process_time() + 0.005  # less than a clock tick
    while time.process_time() < end:
        pass
    assert module("processes")._cpu_seconds(os.getpid()) - before >= 0.004


def test_what_others_had_of_a_cpu_is_not_the_servers() -> None:
    cpu = min(os.sched_getaffinity(0))
    clocks = module("clocks").Clocks(session=2**22, cpu=cpu)  # a session that does not exist
    with module("machine").pinned_to(cpu):
        subprocess.run([sys.executable, "-c", BURN_HALF_A_SECOND], check=True)
    used, others = clocks.read()
    assert used == 0
    assert others >= 0.4


@pytest.mark.parametrize(
    ("shares", "taken", "best"), [([0.01, 0.9], 1, 0.01), ([0.5, 0.3, 0.4, 0.0], 3, 0.3)]
)
def test_a_disturbed_measurement_is_repeated(shares: list[float], taken: int, best: float) -> None:
    left = list(shares)
    assert module("clocks").least_disturbed(lambda: left.pop(0), lambda share: share) == best
    assert len(shares) - len(left) == taken


@pytest.fixture
def accepting() -> Iterator[Accepting]:
    # Not this process: the session that tests run in may have members that are none of our business.
    with subprocess.Popen(
        [sys.executable, "-c", ACCEPT_ONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)):
            assert child.stdout.readline() == "accepted\n"
            yield Accepting(child.pid, port)
        child.communicate()


def test_a_session_is_told_by_its_connections_and_its_memory(accepting: Accepting) -> None:
    processes = module("processes")
    assert processes.connections_held(accepting.pid, accepting.port) == {accepting.pid: 1}
    assert processes.session_pss_kib(accepting.pid) > 1000


@pytest.mark.parametrize(
    ("configured", "is_shared", "words"),
    [
        (
            "'--enable-shared' '--prefix=/usr'",
            False,
            "configured without --enable-optimizations, without --with-lto, libpython linked in",
        ),
        (
            "'--enable-optimizations' '--with-lto'",
            True,
            "configured with --enable-optimizations, with --with-lto, shared libpython",
        ),
    ],
)
def test_no_more_is_said_of_python_than_is_known(
    configured: str, is_shared: bool, words: str
) -> None:
    facts = {"name": "CPython 3.11.2", "compiler": "GCC 12.2.0"}
    facts |= {"configured": configured, "is_shared": is_shared}
    assert module("environment").describe_python(facts) == f"CPython 3.11.2 GCC 12.2.0 ({words})"


def test_python_says_how_it_is_linked() -> None:
    asked = module("commands").output([sys.executable, "-c", module("environment").ASK_PYTHON])
    libraries = Path("/proc/self/maps").read_text()
    assert json.loads(asked)["is_shared"] == ("/libpython" in libraries)


def test_a_refreshed_source_keeps_only_what_is_current(tmp_path: Path) -> None:
    refresh = module("environment").refresh
    files = {Path("greenuni/a.py"): b"1", Path("greenuni/a.pxd"): b"", Path("greenuni/b.py"): b"2"}
    built = {
        "build/lib.linux-cpython-311/greenuni/_library.cpython-311.so": True,
        "build/lib.linux-cpython-311/greenuni/a.cpython-311.so": False,
        "build/lib.linux-cpython-311/greenuni/a.py": False,
        "build/temp/c-1/greenuni/a.c": True,
        "greenuni/gone.py": False,
    }
    for name in built:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    refresh(files, tmp_path)
    assert {name: (tmp_path / name).exists() for name in built} == built
    before = (tmp_path / "greenuni/a.py").stat().st_mtime_ns
    refresh({**files, Path("greenuni/b.py"): b"3"}, tmp_path)
    assert (tmp_path / "greenuni/a.py").stat().st_mtime_ns == before
    assert (tmp_path / "greenuni/b.py").read_bytes() == b"3"


def test_an_idle_connection_that_was_closed_is_noticed() -> None:
    here, there = socket.socketpair()
    with here:
        module("memory")._refuse_closed([here])
        there.close()
        with pytest.raises(module("commands").BenchError, match="1 of 1 idle"):
            module("memory")._refuse_closed([here])


class Wrong(BaseHTTPRequestHandler):
    """Answers 200 with a body that no workload expects."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"wrong")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def wrong_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_wrong_answers_are_refused(wrong_server: int) -> None:
    hello = module("workloads").BY_NAME["hello"]
    with pytest.raises(module("commands").BenchError, match="wrong answer"):
        module("answers").ask_once(wrong_server, hello)


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ({"read": 3}, "3 read"),
        ({"status": 1, "timeout": 2}, "1 status, 2 timeout"),
        ({"requests": 0}, "no request"),
        ({"received": 12}, "too few"),
    ],
)
def test_lost_answers_are_refused(counts: dict[str, int], complaint: str) -> None:
    good = {"requests": 1, "received": 99}
    good |= dict.fromkeys(("connect", "read", "write", "status", "timeout"), 0)
    hello = module("workloads").BY_NAME["hello"]
    wrk = module("wrk")
    wrk.refuse_errors(good, hello)
    with pytest.raises(module("commands").BenchError, match=complaint):
        wrk.refuse_errors({**good, **counts}, hello)


@pytest.fixture
def openload(tmp_path: Path) -> str:
    machine = module("machine")
    if machine.find_compiler() is None:
        pytest.skip("there is no C compiler")
    program: str = machine.build_openload(tmp_path)
    return program


def test_the_open_loop_counts_all_but_the_first_tenth(openload: str, wrong_server: int) -> None:
    printed = module("commands").output([openload, str(wrong_server), "500", "0.4", "8"])
    found = json.loads(printed)
    assert found["requests"] == 180
    assert 0 <= found["away"] <= 1
    assert 0 < found["p50"] <= found["p90"] <= found["p99"] <= found["p999"] <= found["max"]


def test_the_open_loop_refuses_other_answers(openload: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        port = str(listener.getsockname()[1])
        with pytest.raises(module("commands").BenchError, match="not a 200"):
            module("commands").output([openload, port, "500", "0.4", "1"])
        thread.join()
