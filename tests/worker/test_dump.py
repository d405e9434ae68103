"""What a stuck worker writes when it is told to abort."""

from __future__ import annotations

import subprocess
import sys

PREPARE = """
import asyncio, os, signal, sys, threading, time
from greenuni.worker.dump import Dump
dump = Dump(2)
dump.in_flight = lambda: ["GET /caf\\udce9, 1.0 s"]
dump.install()
def abort(): os.kill(os.getpid(), signal.SIGABRT)
def side():
    time.sleep(60)
"""


def run(source: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", PREPARE + source],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=20,
        check=False,
    )


def test_stacks_of_all_threads_then_requests() -> None:
    done = run("threading.Thread(target=side, daemon=True).start()\nabort()")
    assert done.returncode == 134
    assert "in side" in done.stderr
    assert "in abort" in done.stderr
    assert done.stderr.index("in abort") < done.stderr.index("In flight: GET /caf")


def test_tasks_of_asyncio_with_the_place_where_they_wait() -> None:
    done = run("""
async def deep(): await asyncio.sleep(60)
async def waiting(): await deep()
async def main():
    task = asyncio.create_task(waiting(), name="the waiting one")
    await asyncio.sleep(0)
    abort()
asyncio.run(main())
""")
    assert done.returncode == 134
    assert "Task the waiting one waits" in done.stderr
    assert "in waiting\n" in done.stderr
    assert "in deep\n" in done.stderr
    assert "runs; its stack is above" in done.stderr


def test_a_crash_writes_its_stack() -> None:
    done = run("def crash(): os.kill(os.getpid(), signal.SIGSEGV)\ncrash()")
    assert done.returncode == -11
    assert "in crash" in done.stderr


def test_it_takes_over_from_a_fault_handler_that_is_on_already() -> None:
    done = run("abort()", "-X", "faulthandler")
    assert done.returncode == 134
    assert done.stderr.count("in abort") == 1


def test_in_flight_that_fails_does_not_keep_the_worker_alive() -> None:
    done = run("dump.in_flight = lambda: 1 / 0\nabort()")
    assert done.returncode == 134
    assert "ZeroDivisionError" in done.stderr
