"""The arbiter and its workers as real processes: signals, deaths, orphans, stuck loops."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from greenuni import build
from tests.arbiter.conftest import FakeServer, Start
from tests.support.server import process_exists, wait_until

TRACEBACK = "Traceback (most recent call last)"


def wait_for_workers(server: FakeServer, count: int) -> list[int]:
    wait_until(lambda: len(server.workers()) == count, f"{count} workers")
    return server.workers()


# Start and stop


def test_it_says_what_it_does(start: Start) -> None:
    server = start(workers=2)
    server.wait_for_log("Booting worker with pid", 2)
    lines = [line.split("] ", 3)[-1] for line in server.log.splitlines()]
    assert lines[0] == f"Starting {build.summary()}"
    assert re.fullmatch(rf"Listening at: http://127\.0\.0\.1:\d+ \({server.pid}\)", lines[1])
    (serving,) = [line for line in lines if line.startswith("Serving")]
    assert serving == (
        "Serving site_app:app, which is WSGI (function), with 2 sync workers; "
        "idle connections are kept for 75 s"
    )


def test_term_lets_workers_drain(start: Start) -> None:
    server = start(workers=2)
    server.wait_for_log("Seated", 2)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert server.log.count("Drained by") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_stop_at_once(start: Start, number: signal.Signals) -> None:
    server = start(workers=2)
    server.wait_for_log("Seated", 2)
    server.signal(number)
    assert server.wait(5) == 0
    assert "Drained by" not in server.log


STUBBORN = """
import signal, time
def serve(seat):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)
    seat.ready()
    while True:
        seat.slot.beat()
        time.sleep(0.05)
"""


def test_who_ignores_quit_is_killed_two_seconds_later(start: Start) -> None:
    server = start(STUBBORN)
    began = time.monotonic()
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert 1.8 < time.monotonic() - began < 4
    assert "SIGKILL, sent because it had not ended 2.0 s after SIGQUIT" in server.log


def test_a_second_int_kills_at_once(start: Start) -> None:
    server = start(STUBBORN)
    server.signal(signal.SIGINT)
    server.wait_for_log("Handling signal: SIGINT")
    told_at = time.monotonic()
    wait_until(lambda: time.monotonic() - told_at > 1, "it cannot be the same one")
    server.signal(signal.SIGINT)
    assert server.wait(1.5) == 0
    assert "SIGKILL, sent because it was told so a second time" in server.log


SLOW_TO_LEAVE = """
import signal, time
def serve(seat):
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stopping.append(1))
    seat.ready()
    while not stopping:
        seat.slot.beat()
        time.sleep(0.02)
    seat.log.info("Leaving")
    time.sleep(0.5)
    seat.log.info("Left in order")
"""


def test_an_int_that_arrives_twice_lets_workers_leave_in_order(start: Start) -> None:
    server = start(SLOW_TO_LEAVE)
    server.signal(signal.SIGINT)
    server.wait_for_log("Leaving")
    server.signal(signal.SIGINT)
    assert server.wait(5) == 0
    assert "Left in order" in server.log


def test_who_does_not_drain_is_killed_two_seconds_after_its_time(start: Start) -> None:
    busy = STUBBORN.replace(
        "seat.ready()", "seat.ready(); seat.slot.begin(b'GET', b'/slow', 1, time.monotonic())"
    )
    server = start(busy, graceful_timeout=0.5, shutdown_timeout=0)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    killed = "SIGKILL, sent because it had not ended 2.5 s after SIGTERM, running GET /slow since "
    assert killed in server.log


def test_term_while_the_application_is_imported(start: Start, tmp_path: Path) -> None:
    source = "import pathlib, time; pathlib.Path('importing').touch(); time.sleep(60)"
    server = start(source, wait=False)
    wait_until((tmp_path / "importing").exists, "the import has begun")
    server.signal(signal.SIGTERM)
    assert server.wait(5) == 0


def test_the_pid_file_lasts_as_long_as_the_server(start: Start, tmp_path: Path) -> None:
    server = start(pidfile=str(tmp_path / "server.pid"))
    assert (tmp_path / "server.pid").read_text() == f"{server.pid}\n"
    server.stop()
    assert not (tmp_path / "server.pid").exists()


def test_a_port_in_use_is_one_sentence(start: Start) -> None:
    first = start()
    second = start(wait=False, bind=[f"127.0.0.1:{first.port}"])
    assert second.wait() == 1
    assert f"ss -ltnp 'sport = :{first.port}'" in second.log
    assert TRACEBACK not in second.log


def test_workers_know_their_number_and_their_environment(start: Start) -> None:
    source = """
import os
print("I am", os.environ["GREENUNI_WORKER_ID"], os.environ["A"], os.getpid(), flush=True)
"""
    server = start(source, workers=3, raw_env=["A=b=c"])
    server.wait_for_log("I am", 3)
    assert sorted(re.findall(r"I am (\d) b=c", server.log)) == ["0", "1", "2"]
    pid = re.search(r"I am 1 b=c (\d+)", server.log)
    assert pid
    os.kill(int(pid[1]), signal.SIGKILL)
    server.wait_for_log("I am 1", 2)


# Deaths


def test_a_killed_worker_is_replaced_at_once_and_its_death_told_truly(start: Start) -> None:
    server = start(workers=2)
    server.wait_for_log("Seated", 2)
    first, second = server.workers()
    os.kill(first, signal.SIGKILL)
    server.wait_for_log(
        rf"Worker 0 \(pid {first}\) was ended by SIGKILL, which this server did not send; "
        r"it lived \d+\.\d s and answered 0 requests"
    )
    wait_until(lambda: len(set(server.workers()) - {first}) == 2, "a replacement", 1)
    assert second in server.workers()


CRASHING = """
import os
def serve(seat):
    from tests.arbiter.fake_server import serve_nobody
    if os.environ["GREENUNI_WORKER_ID"] == "1":
        seat.ready()
        os._exit(7)
    serve_nobody(seat)
"""


def test_a_crash_loop_backs_off_while_the_others_serve(start: Start) -> None:
    server = start(CRASHING, workers=2)
    server.wait_for_log("the next attempt is in 0.5 s")
    healthy = server.workers()[0]
    server.wait_for_log("the next attempt is in 1 s")
    server.wait_for_log("the next attempt is in 2 s")
    assert server.workers() == [healthy]
    assert len(re.findall("ended with exit status 7", server.log)) == 4


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('no database')", "RuntimeError: no database"),
        ("import sys; sys.exit(5)", "SystemExit"),
        ("import os; os._exit(5)", "ended with exit status 5 while it booted"),
        ("import os, signal; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
        ("def serve(seat): raise KeyError('early')", "the worker ended with KeyError"),
        ("def serve(seat): raise SystemExit(4)", r"the worker with sys.exit\(4\)"),
    ],
)
def test_a_first_generation_that_cannot_boot(start: Start, source: str, why: str) -> None:
    server = start(source, workers=4, wait=False)
    assert server.wait() == 3
    assert len(re.findall(why, server.log)) >= 1
    assert server.log.count(TRACEBACK) <= 1
    assert server.log.count("Stopping:") == 1


def test_the_traceback_of_a_failed_boot_shows_the_users_frames_once(start: Start) -> None:
    server = start("\nraise RuntimeError('no database')", workers=4, wait=False)
    server.wait()
    assert server.log.count(TRACEBACK) == 1
    assert server.log.count("RuntimeError: no database\n") == 2  # the sentence and the traceback
    assert server.log.endswith("Stopping: the first generation of workers cannot boot\n")
    assert "site_app.py" in server.log
    assert "greenuni/" not in server.log


def test_a_setting_that_does_not_apply_ends_with_status_2(start: Start, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text('wsgi_app = "site_app:app"\nlifespan = "on"\nport = 0')
    server = start(wait=False)
    assert server.wait() == 2
    assert "--lifespan (greenuni.toml) applies to ASGI applications only" in server.log


def test_children_of_others_are_reaped_in_silence(start: Start) -> None:
    """As process 1 the arbiter inherits every orphan; here it does as a subreaper."""
    source = """
import os
if os.environ["GREENUNI_WORKER_ID"] == "0" and os.fork() == 0:
    if os.fork():
        os._exit(3)  # its child is an orphan now
    os._exit(4)
"""
    server = start(source, workers=2, subreaper=True)
    wait_until(lambda: server.log.count("Booting worker") == 2, "two workers")
    workers = wait_for_workers(server, 2)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    wait_until(lambda: len(children.read_text().split()) == 2, "no zombie")
    assert server.workers() == workers
    assert "exit status" not in server.log


def test_a_server_without_descriptors_goes_on_and_recovers(start: Start) -> None:
    server = start()
    server.wait_for_log("Seated")
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 1, before[1]))
    server.signal(signal.SIGTTIN)
    server.wait_for_log("Worker 1 cannot be forked: .*Too many open files")
    server.wait_for_log("Worker 1 keeps ending; the next attempt is in 0.5 s")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    server.wait_for_log("Seated", 2)


# Stuck loops

STUCK = """
import os
import time
def get_stuck():
    while True:
        pass
def serve(seat):
    from tests.arbiter.fake_server import serve_nobody
    if os.environ["GREENUNI_WORKER_ID"] == "0" and not os.path.exists("stuck"):
        open("stuck", "w").close()
        seat.in_flight = lambda: ["GET /slow, 1.0 s"]
        seat.slot.begin(b"GET", b"/slow", 1, time.monotonic())
        seat.ready()
        get_stuck()
    serve_nobody(seat)
"""


def test_a_stuck_worker_is_dumped_and_replaced(start: Start) -> None:
    server = start(STUCK, workers=2, timeout=1)
    server.wait_for_log("Booting worker", 2)
    stuck = server.workers()[0]
    server.wait_for_log(r"has not turned its loop for 1\.\d s, running GET /slow since \d+\.\d s")
    server.wait_for_log("in get_stuck")
    server.wait_for_log("In flight: GET /slow, 1.0 s")
    server.wait_for_log("after SIGABRT, because its loop had not turned for 1")
    wait_until(lambda: not process_exists(stuck), "the end of the stuck one")
    wait_for_workers(server, 2)


IN_C_CODE = """
import os
def stuck_in_c():
    sum(range(10**12))  # keeps the interpreter's lock for an hour
def serve(seat):
    seat.ready()
    if not os.path.exists("stuck"):
        open("stuck", "w").close()
        stuck_in_c()
    from tests.arbiter.fake_server import serve_nobody
    serve_nobody(seat)
"""


def test_a_worker_that_is_stuck_in_c_code_is_dumped_too(start: Start) -> None:
    server = start(IN_C_CODE, timeout=1)
    server.wait_for_log("in stuck_in_c")
    server.wait_for_log("SIGKILL, sent because it had not ended 1.")
    wait_for_workers(server, 1)


def test_a_long_request_is_not_a_stuck_loop(start: Start) -> None:
    source = """
import time
def serve(seat):
    seat.ready()
    seat.pulse.in_app = True
    time.sleep(2.5)
    seat.log.info("Slept")
    from tests.arbiter.fake_server import serve_nobody
    serve_nobody(seat)
"""
    server = start(source, timeout=1)
    server.wait_for_log("Slept")
    assert "has not turned" not in server.log


def test_exit_handlers_are_not_a_stuck_loop(start: Start) -> None:
    source = """
import atexit, time
def farewell():
    time.sleep(2.5)
    print("Said farewell", flush=True)
atexit.register(farewell)
"""
    server = start(source, timeout=1)
    server.wait_for_log("Seated")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Said farewell" in server.log
    assert "has not turned" not in server.log


def test_a_worker_that_was_told_to_end_by_others_and_does_not_is_found(start: Start) -> None:
    """The arbiter does not know that it drains, and the pulse is not believed for ever."""
    source = "import atexit, time; atexit.register(time.sleep, 60)"
    server = start(source, timeout=1, graceful_timeout=0.5)
    server.wait_for_log("Seated")
    os.kill(server.workers()[0], signal.SIGTERM)
    server.wait_for_log("has not turned its loop")


# Boots that take long

HANGING = """
import os, time
def load_the_model():
    while os.path.exists("hang"):
        time.sleep(0.01)
load_the_model()
"""


def test_a_boot_that_hangs_ends_the_start_with_its_stack(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hang").touch()
    server = start(HANGING, wait=False, boot_timeout=1)
    assert server.wait() == 3
    assert re.search(r"Worker 0 \(pid \d+\) was not ready within boot_timeout, 1 s", server.log)
    assert "in load_the_model" in server.log
    assert "Stopping: the first generation of workers cannot boot" in server.log


def test_a_boot_of_a_new_generation_that_hangs_leaves_the_old_one(
    start: Start, tmp_path: Path
) -> None:
    server = start(HANGING, boot_timeout=1, boot_retries=1)
    old = server.workers()
    (tmp_path / "hang").touch()
    server.signal(signal.SIGHUP)
    server.wait_for_log(
        r"The reload is given up; what was loaded before goes on in 1 worker\. "
        r"The reason after 2 attempts: Worker 0 \(pid \d+\) was not ready within boot_timeout, 1 s"
    )
    assert server.log.count("in load_the_model") == 2
    assert wait_for_workers(server, 1) == old


def test_a_boot_may_take_longer_than_timeout(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hang").touch()
    server = start(HANGING, wait=False, timeout=0.2)
    server.wait_for_log("Booting worker")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 1, "several timeouts")
    (tmp_path / "hang").unlink()
    server.wait_for_log("Serving")
    assert "has not turned" not in server.log
    assert server.log.count("Booting worker") == 1


def test_signals_go_to_the_main_thread(start: Start) -> None:
    """One that the kernel gave to another thread would not interrupt a call of the application."""
    server = start(reload=True)
    server.wait_for_log("Seated")
    (worker,) = server.workers()
    threads = [path for path in Path(f"/proc/{worker}/task").iterdir() if path.name != str(worker)]
    assert len(threads) == 2
    wanted = sum(1 << number - 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGABRT))
    for thread in threads:
        status = dict(re.findall(r"^(\w+):\s+(.*)$", (thread / "status").read_text(), re.MULTILINE))
        assert int(status["SigBlk"], 16) & wanted == wanted


# Orphans

SPINNING = """
def serve(seat):
    seat.ready()
    while True:
        pass
"""
HOLDING_A_LOG_LOCK = """
import logging, time
def serve(seat):
    seat.ready()
    with seat.log.handlers[0].lock:
        time.sleep(60)
"""


@pytest.mark.parametrize(
    "source",
    ["", SPINNING, STUBBORN, HOLDING_A_LOG_LOCK],
    ids=["healthy", "spinning", "stubborn", "log-lock"],
)
def test_a_killed_arbiter_leaves_nobody_behind(start: Start, source: str) -> None:
    server = start(source, workers=3, timeout=0)
    server.wait_for_log("Booting worker", 3)
    family = wait_for_workers(server, 3)
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(map(process_exists, family)), "the end of all workers", 2)


def test_workers_that_boot_do_not_outlive_the_arbiter(start: Start) -> None:
    server = start("import time; time.sleep(60)", workers=2, wait=False)
    server.wait_for_log("Booting worker", 2)
    family = server.workers()
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(map(process_exists, family)), "the end of all workers", 2)


# Process 1


@pytest.fixture
def own_namespace() -> list[str]:
    """A command prefix that makes the server process 1 of a pid namespace."""
    prefix = ["unshare", "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("no permission to make a pid namespace")
    return prefix


def test_term_as_process_1_while_it_boots(start: Start, own_namespace: list[str]) -> None:
    server = start("import time; time.sleep(60)", *own_namespace, wait=False, preload_app=True)
    server.wait_for_log("Listening at")
    (arbiter,) = server.workers()
    os.kill(arbiter, signal.SIGTERM)
    assert server.wait(5) == 0
