"""The benchmark's own arithmetic, and that it notices what makes a measurement worthless."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

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


def module(name: str) -> Any:
    return importlib.import_module(name)


def sample(server: str, microseconds: float, workload: str = "hello") -> Any:
    return module("measure").Sample(
        workload=workload,
        server=server,
        requests=1_000_000,
        wall_seconds=10.0,
        cpu_seconds=microseconds,
    )


def report(*samples: Any) -> Any:
    return module("report").Report(
        machine={"CPU": "one"},
        settings={"rounds": 3},
        servers=module("servers").SERVERS,
        workloads=module("workloads").WORKLOADS,
        samples=list(samples),
    )


def test_every_server_runs_some_workload_and_names_are_unique() -> None:
    servers, workloads = module("servers"), module("workloads")
    assert len(servers.BY_NAME) == len(servers.SERVERS)
    assert len(workloads.BY_NAME) == len(workloads.WORKLOADS)
    assert set(servers.QUICK) <= set(servers.BY_NAME)
    for server in servers.SERVERS:
        assert any(server.interface in workload.apps for workload in workloads.WORKLOADS)


def test_cells_are_medians() -> None:
    times = [sample("greenuni-sync", value) for value in (30.0, 90.0, 40.0)]
    assert module("report").Medians(times).get("hello", "greenuni-sync") == 40.0


def test_claims_pass_and_fall_short() -> None:
    text = report(
        sample("greenuni-asyncio", 80.0),
        sample("uvicorn-h11", 100.0),
        sample("greenuni-sync", 80.0),
        sample("gunicorn-sync", 120.0),
    ).to_markdown()
    assert "uvicorn (asyncio, h11) = 0.80 (target <= 1.0): PASS" in text
    assert "greenuni sync = 1.50 (target >= 2.0): short of target by 0.50" in text


def test_ratio_tables_compare_with_rivals_of_the_same_interface() -> None:
    text = report(sample("greenuni-sync", 50.0), sample("waitress", 100.0)).to_markdown()
    table = text.split("## greenuni sync / rival")[1].split("##")[0]
    assert "| waitress, 4 threads         |  0.50 |" in table
    assert "uvicorn" not in table


def test_json_keeps_every_sample() -> None:
    data = json.loads(json.dumps(report(sample("bjoern", 6.0), sample("bjoern", 7.0)).to_json()))
    assert [entry["microseconds"] for entry in data["samples"]] == [6.0, 7.0]


def test_rounds_alternate_their_direction() -> None:
    run, servers, workloads = module("run"), module("servers"), module("workloads")
    pair = (servers.BY_NAME["greenuni-sync"], servers.BY_NAME["bjoern"])
    plan = run.Plan(pair, (workloads.BY_NAME["hello"], workloads.BY_NAME["fastapi"]), rounds=2)
    order = [server.name for _, _, server in plan]
    assert order == ["greenuni-sync", "bjoern", "bjoern", "greenuni-sync"]
    assert len(plan) == 4


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
        assert module("measure").session_cpu_seconds(process.pid) >= 0.45
        process.kill()
    assert module("measure").session_cpu_seconds(process.pid) == 0


class Wrong(BaseHTTPRequestHandler):
    """Answers 200 with a body that no workload expects."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"wrong")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def wrong_server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Wrong) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_wrong_answers_are_refused(wrong_server: int) -> None:
    hello = module("workloads").BY_NAME["hello"]
    with pytest.raises(module("environment").BenchError, match="wrong answer"):
        module("measure").check_answer(wrong_server, hello)


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
    measure = module("measure")
    measure.refuse_errors(good, hello)
    with pytest.raises(module("environment").BenchError, match=complaint):
        measure.refuse_errors({**good, **counts}, hello)
