"""Generations as real processes: HUP, --reload, retirement, rotation of logs, changed addresses."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

from tests.arbiter.conftest import Start
from tests.arbiter.test_processes import TRACEBACK, wait_for_workers
from tests.support.server import wait_until


def test_hup_rolls_to_new_code(start: Start) -> None:
    server = start("print('version 1', flush=True)", workers=2)
    server.wait_for_log("Seated", 2)
    old = server.workers()
    server.write_app("print('version 2', flush=True)")
    server.signal(signal.SIGHUP)
    server.wait_for_log("Reloaded: the new generation serves in 2 workers")
    assert server.log.count("version 2") == 2
    wait_until(lambda: not set(server.workers()) & set(old), "the end of the old workers")
    server.wait_for_log("has taken its place", 2)


def test_hup_with_code_that_cannot_boot_keeps_the_old_workers(start: Start) -> None:
    server = start(workers=2)
    server.wait_for_log("Seated", 2)
    old = server.workers()
    server.write_app("import a_module_that_is_missing")
    server.signal(signal.SIGHUP)
    server.wait_for_log("The reload is given up; what was loaded before goes on in 2 workers")
    wait_until(lambda: server.workers() == old, "the old workers alone")
    server.wait_for_log("The reason after 2 attempts: module 'site_app' cannot be imported")
    assert "keeps ending" not in server.log
    assert server.log.count(TRACEBACK) == 1
    assert "No module named 'a_module_that_is_missing'" in server.log
    server.write_app("")
    server.signal(signal.SIGHUP)
    server.wait_for_log("Reloaded")


def test_hup_with_a_broken_configuration_keeps_the_old_one(start: Start) -> None:
    server = start(workers=2)
    server.wait_for_log("Seated", 2)
    old = server.workers()
    (server.directory / "config.json").write_text("{")
    server.signal(signal.SIGHUP)
    server.wait_for_log(
        r"The configuration cannot be used: config.json: .*[^.]\. The old configuration"
    )
    assert server.workers() == old


def test_hup_with_a_log_that_cannot_be_written_keeps_the_old_one(start: Start) -> None:
    server = start()
    server.write_config(errorlog="/nowhere/error.log", bind=["127.0.0.1:0", "127.0.0.2:0"])
    server.signal(signal.SIGHUP)
    server.wait_for_log("The configuration cannot be used: .*/nowhere/error.log")
    server.wait_for_log(r"The old configuration and its workers go on\.")
    assert "127.0.0.2" not in server.log


def test_hup_changes_the_number_of_workers(start: Start) -> None:
    server = start(workers=1)
    server.write_config(workers=3)
    server.signal(signal.SIGHUP)
    server.wait_for_log("serves in 3 workers")
    wait_for_workers(server, 3)


def test_hup_opens_new_addresses_and_closes_old_ones(start: Start, tmp_path: Path) -> None:
    first, second = str(tmp_path / "first.sock"), str(tmp_path / "second.sock")
    server = start(bind=["127.0.0.1:0", f"unix:{first}"])
    port = server.port
    server.write_config(bind=["127.0.0.1:0", f"unix:{second}"])
    server.signal(signal.SIGHUP)
    server.wait_for_log(f"Listening at: unix:{second}")
    server.wait_for_log("Reloaded")
    wait_until(lambda: not os.path.exists(first), "the old path is gone")
    assert server.log.count("Listening at: http") == 1
    socket.create_connection(("127.0.0.1", port)).close()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(second)
    server.stop()
    assert not os.path.exists(second)


def test_hup_with_an_address_in_use_keeps_everything(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start()
        server.write_config(bind=[f"127.0.0.1:{port}"])
        server.signal(signal.SIGHUP)
        server.wait_for_log("cannot be used: cannot listen .* the port is in use")
        socket.create_connection(("127.0.0.1", server.port)).close()


def test_usr1_reopens_the_logs_of_arbiter_and_workers(start: Start, tmp_path: Path) -> None:
    log, old = tmp_path / "error.log", tmp_path / "error.log.1"
    server = start(wait=False, errorlog=str(log))
    wait_until(lambda: log.exists() and "Serving" in log.read_text(), "the server serves")
    (worker,) = server.workers()
    log.rename(old)
    server.signal(signal.SIGUSR1)
    wait_until(log.exists, "a new log")
    server.stop()
    assert f"Drained by {worker}" in log.read_text()
    assert "ended with exit status 0" in log.read_text()
    assert "Drained" not in old.read_text()


def test_a_stuck_worker_is_dumped_into_the_reopened_log(start: Start, tmp_path: Path) -> None:
    source = """
def serve(seat):
    import signal, time
    signal.signal(signal.SIGUSR1, lambda *_: seat.reopen_logs())
    seat.ready()
    signal.pause()
    while True: pass
"""
    log = tmp_path / "error.log"
    server = start(source, wait=False, errorlog=str(log), timeout=1)
    wait_until(lambda: log.exists() and "Serving" in log.read_text(), "the server serves")
    log.rename(tmp_path / "old.log")
    server.signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and "in serve" in log.read_text(), "the dump in the new log")


def test_ttin_and_ttou(start: Start) -> None:
    server = start(workers=2)
    server.signal(signal.SIGTTIN)
    server.wait_for_log("wanted now: 3 workers")
    server.wait_for_log("Seated", 3)
    three = server.workers()
    server.signal(signal.SIGTTOU)
    server.wait_for_log("because fewer workers are wanted")
    assert wait_for_workers(server, 2) == three[:2]


def test_a_retiring_worker_is_replaced_before_it_ends(start: Start) -> None:
    source = """
import os
def serve(seat):
    from tests.arbiter.fake_server import serve_nobody
    if not os.path.exists("retired"):
        open("retired", "w").close()
        seat.retire("max-requests")
    serve_nobody(seat)
"""
    # The request to retire comes before it is ready and is not heard; the second one is.
    source = source.replace("        seat.retire", "        seat.ready()\n        seat.retire")
    server = start(source)
    server.wait_for_log(r"Worker 0 \(pid \d+\) asks to be replaced: max-requests")
    server.wait_for_log(r"after SIGTERM, because worker 0 \(pid \d+\) has taken its place")
    wait_for_workers(server, 1)


def test_hup_names_the_settings_that_need_a_restart(start: Start, tmp_path: Path) -> None:
    server = start(reuse_port=False)
    server.write_config(reuse_port=True, pidfile=str(tmp_path / "server.pid"))
    server.signal(signal.SIGHUP)
    server.wait_for_log("A new value of pidfile needs a restart")
    server.wait_for_log("A new value of reuse_port needs a restart")
    server.wait_for_log("Reloaded")


def test_nonsense_on_the_message_pipe_harms_nobody(start: Start) -> None:
    source = """
import os
def serve(seat):
    from tests.arbiter.fake_server import serve_nobody
    for fd in os.listdir("/proc/self/fd"):
        try:
            if int(fd) > 2 and os.readlink(f"/proc/self/fd/{fd}").startswith("pipe"):
                seat.ready()
                os.write(int(fd), b"\\0\\0\\0\\2[]")
        except OSError:
            pass
    serve_nobody(seat)
"""
    server = start(source)
    server.wait_for_log(r"Process \d+ is not listened to any more: not a message")
    assert server.stop() == 0


def test_the_last_words_of_a_worker_are_heard_however_long(start: Start) -> None:
    source = """
def serve(seat):
    from greenuni.errors import BootError
    raise BootError("many words", "word " * 15000 + "the last one")
"""
    server = start(source, wait=False)
    assert server.wait() == 3
    assert "word the last one" in server.log


def test_reload_follows_the_files(start: Start) -> None:
    server = start("print('version 1', flush=True)", reload=True)
    server.wait_for_log("Seated")
    server.write_app("print('version 2', flush=True)")
    server.wait_for_log(r"site_app\.py has changed; reloading")
    server.wait_for_log("version 2")
    server.wait_for_log("Reloaded")
    (serving,) = wait_for_workers(server, 1)

    server.write_app("raise RuntimeError('broken')")
    server.wait_for_log("RuntimeError: broken")
    server.wait_for_log("Waiting for a file to change")
    assert serving in server.workers()

    server.write_app("print('version 3', flush=True)")
    server.wait_for_log("version 3")
    server.wait_for_log("Reloaded", 2)
    wait_for_workers(server, 1)
    assert server.log.count("has changed; reloading") == 3


def test_reload_waits_for_code_that_never_worked(start: Start) -> None:
    server = start("import helper", workers=2, wait=False, reload=True)
    server.wait_for_log("Waiting for a file to change")
    assert len(server.workers()) == 2
    (server.directory / "helper.py").write_text("")
    server.wait_for_log("helper.py has changed; reloading")
    server.wait_for_log("Serving")
    assert server.log.count(TRACEBACK) == 1
    assert server.stop() == 0


def test_no_worker_keeps_what_belongs_to_the_arbiter_or_to_another(start: Start) -> None:
    """After a roll a worker holds one listener, both ends of its queue, its own pipe and the lifeline."""
    source = """
import os
def serve(seat):
    from tests.arbiter.fake_server import serve_nobody
    kinds = sorted(os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in os.listdir("/proc/self/fd")
                   if os.path.exists(f"/proc/self/fd/{fd}") and int(fd) > 2)
    print("holds", kinds.count("socket"), "sockets and", kinds.count("pipe"), "pipes", flush=True)
    serve_nobody(seat)
"""
    server = start(source, workers=3, reuse_port=True)
    server.signal(signal.SIGHUP)
    server.wait_for_log("Reloaded")
    # Pipes: the message pipe, the lifeline, and the dump's copy of standard error, which is one here.
    assert set(re.findall("holds .*", server.log)) == {"holds 3 sockets and 3 pipes"}


def test_workers_that_grow_too_large_are_replaced_one_after_the_other(start: Start) -> None:
    """Each grows by 64 MiB when it is ready; one successor boots at a time, and takes over before an end."""
    source = """
import os
from greenuni.worker import recycling
recycling.CHECK_INTERVAL = 0.1
def serve(seat):
    from tests.arbiter.fake_server import serve_nobody
    announce = seat.ready
    def ready():
        announce()
        if not os.path.exists("replaced" + os.environ["GREENUNI_WORKER_ID"]):
            open("replaced" + os.environ["GREENUNI_WORKER_ID"], "w").close()
            seat.ballast = b"x" * (64 << 20)
    seat.ready = ready
    serve_nobody(seat)
"""
    server = start(source, workers=2, max_worker_rss=72 << 20)
    for place in "01":
        server.wait_for_log(rf"Worker {place} \(pid \d+\) asks to be replaced: max-worker-rss")
        server.wait_for_log(rf"because worker {place} \(pid \d+\) has taken its place")
    asked, booted = "asks to be replaced", "Booting worker"
    events = re.findall(f"{asked}|{booted}|has taken its place", server.log)
    assert events.count(asked) == 2
    assert events.count(booted) == 4


def test_workers_that_are_too_old_are_replaced(start: Start) -> None:
    source = "from greenuni.worker import recycling; recycling.CHECK_INTERVAL = 0.1"
    server = start(source, workers=2, max_worker_age=0.5)
    server.wait_for_log("asks to be replaced: max-worker-age, it has served for 1 s", 4)
    server.wait_for_log("has taken its place", 4)
