"""Preloading as real processes: by a mold, and by the arbiter where there can be no mold."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.arbiter.conftest import FakeServer, Start
from tests.arbiter.test_processes import HANGING, TRACEBACK
from tests.support.server import process_exists, wait_until


def molds(server: FakeServer) -> list[int]:
    """The processes that have been made to preload, in order."""
    return [
        int(pid) for pid in re.findall(r"Preloading the application in process (\d+)", server.log)
    ]


def workers(server: FakeServer, count: int) -> list[int]:
    """The pids of ``count`` workers, waited for; all of them are the arbiter's children."""
    wait_until(lambda: len(set(server.workers()) - set(molds(server))) == count, f"{count} workers")
    return sorted(set(server.workers()) - set(molds(server)))


# Whoever preloads


def test_the_application_is_loaded_once_for_all_workers(start: Start, preloading: str) -> None:
    server = start(
        "import os; print('Loaded by', os.getpid(), flush=True)", workers=3, preload_app=True
    )
    server.wait_for_log("Seated", 3)
    (loader,) = re.findall(r"Loaded by (\d+)", server.log)
    assert (int(loader) == server.pid) == (preloading == "arbiter")
    assert len(workers(server, 3)) == 3


@pytest.mark.usefixtures("preloading")
def test_an_application_that_cannot_be_imported_ends_the_start(start: Start) -> None:
    server = start("raise RuntimeError('no database')", wait=False, preload_app=True, workers=3)
    assert server.wait() == 3
    assert server.log.count(TRACEBACK) == 1
    assert server.log.count("RuntimeError: no database\n") == 2  # the sentence and the traceback
    assert "Booting" not in server.log


@pytest.mark.usefixtures("preloading")
def test_a_setting_that_does_not_apply_ends_the_start_with_status_2(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "greenuni.toml").write_text(
        'wsgi_app = "site_app:app"\nlifespan = "on"\nport = 0\npreload = true'
    )
    assert start(wait=False).wait() == 2


@pytest.mark.usefixtures("preloading")
def test_term_while_the_application_is_preloaded(start: Start, tmp_path: Path) -> None:
    source = "import pathlib, time; pathlib.Path('importing').touch(); time.sleep(60)"
    server = start(source, wait=False, preload_app=True)
    wait_until((tmp_path / "importing").exists, "the import has begun")
    server.signal(signal.SIGTERM)
    assert server.wait(5) == 0


@pytest.mark.usefixtures("preloading")
def test_signals_and_threads_of_the_application_make_nobody_deaf(start: Start) -> None:
    source = """
import asyncio, signal, threading, time
asyncio.run(asyncio.sleep(0))
signal.set_wakeup_fd(-1)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
threading.Thread(target=time.sleep, args=(60,), daemon=True, name="refresher").start()
"""
    server = start(source, workers=2, preload_app=True)
    server.wait_for_log("Seated", 2)
    assert "has started threads, which workers will not have: refresher" in server.log
    os.kill(workers(server, 2)[0], signal.SIGKILL)
    server.wait_for_log("was ended by SIGKILL, which this server did not send")
    server.wait_for_log("Seated", 3)
    assert server.stop() == 0


def test_where_there_is_no_mold_hup_says_that_the_code_stays(start: Start, tmp_path: Path) -> None:
    (tmp_path / "without-molds").touch()
    server = start("print('imported', flush=True)", workers=2, preload_app=True)
    server.wait_for_log("HUP does not load the application again on this system")
    server.wait_for_log("Booting worker", 2)
    server.signal(signal.SIGHUP)
    server.wait_for_log("the application is not loaded again")
    server.wait_for_log("Reloaded")
    assert server.log.count("imported") == 1


# Molds

VERSION = "print('version {}', flush=True)"


def test_hup_loads_new_code_into_a_new_mold(start: Start) -> None:
    server = start(VERSION.format(1), workers=2, preload_app=True)
    old = workers(server, 2)
    server.write_app(VERSION.format(2))
    server.signal(signal.SIGHUP)
    server.wait_for_log("Reloaded: the new generation serves in 2 workers")
    assert server.log.count("version 2") == 1
    first, second = molds(server)
    wait_until(lambda: not any(map(process_exists, [*old, first])), "the end of the old")
    assert process_exists(second)
    assert not set(workers(server, 2)) & set(old)


def test_a_mold_that_cannot_load_leaves_the_old_one(start: Start) -> None:
    server = start(VERSION.format(1), workers=2, preload_app=True)
    old = workers(server, 2)
    server.write_app("import a_module_that_is_missing")
    server.signal(signal.SIGHUP)
    server.wait_for_log("The reload is given up; what was loaded before goes on in 2 workers")
    server.wait_for_log("The reason after 2 attempts: module 'site_app' cannot be imported")
    assert server.log.count(TRACEBACK) == 1
    assert workers(server, 2) == old
    os.kill(
        old[0], signal.SIGKILL
    )  # its successor is what was loaded before, whatever lies on disk
    server.wait_for_log("Seated", 3)
    assert server.log.count("version 1") == 1
    assert process_exists(molds(server)[0])


def test_workers_survive_their_mold_and_the_next_gets_another_one(start: Start) -> None:
    server = start(VERSION.format(1), workers=2, preload_app=True)
    first, second = workers(server, 2)
    (mold,) = molds(server)
    os.kill(mold, signal.SIGKILL)
    server.wait_for_log(
        rf"The process {mold} that had preloaded the application was ended by SIGKILL, .* workers go on"
    )
    assert workers(server, 2) == [first, second]
    os.kill(first, signal.SIGKILL)
    server.wait_for_log("Seated", 3)
    assert len(molds(server)) == 2
    assert second in workers(server, 2)


def test_a_mold_that_dies_while_it_loads_is_told(start: Start) -> None:
    server = start("import os; os._exit(7)", workers=2, wait=False, preload_app=True)
    assert server.wait() == 3
    assert "The process that preloads the application ended with exit status 7" in server.log


def test_an_application_that_exits_while_it_is_preloaded_is_told(start: Start) -> None:
    server = start("import sys; sys.exit(5)", wait=False, preload_app=True)
    assert server.wait() == 3
    assert "SystemExit" in server.log


def test_a_load_that_hangs_shows_where_and_is_given_up(start: Start, tmp_path: Path) -> None:
    server = start(HANGING, preload_app=True, boot_timeout=1, boot_retries=0)
    old = workers(server, 1)
    (tmp_path / "hang").touch()
    server.signal(signal.SIGHUP)
    server.wait_for_log(
        r"The reason: Worker 0 \(not forked yet\) was not ready within boot_timeout, 1 s"
    )
    server.wait_for_log("in load_the_model")
    wait_until(lambda: not process_exists(molds(server)[1]), "the end of the mold that hangs")
    assert workers(server, 1) == old
    (tmp_path / "hang").unlink()
    server.signal(signal.SIGHUP)
    server.wait_for_log("Reloaded")


def test_a_first_load_that_hangs_ends_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hang").touch()
    server = start(HANGING, wait=False, preload_app=True, boot_timeout=1, workers=3)
    assert server.wait() == 3
    assert "in load_the_model" in server.log


def test_a_killed_arbiter_leaves_no_mold_behind(start: Start) -> None:
    server = start(workers=2, preload_app=True)
    family = [*workers(server, 2), *molds(server)]
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(map(process_exists, family)), "the end of all", 3)


def test_the_end_of_the_server_is_the_end_of_the_mold(start: Start) -> None:
    server = start(workers=2, preload_app=True)
    server.wait_for_log("Seated", 2)
    assert server.stop() == 0
    assert server.log.count("Drained by") == 2
    wait_until(lambda: not process_exists(molds(server)[0]), "the end of the mold")


def test_a_mold_runs_no_exit_handlers(start: Start) -> None:
    """What the application has made while it was imported is still used by workers that drain."""
    source = "import atexit, os; atexit.register(lambda: print('Exits', os.getpid(), flush=True))"
    server = start(source, workers=2, preload_app=True)
    both = workers(server, 2)
    server.signal(signal.SIGHUP)
    server.wait_for_log("Reloaded")
    both += workers(server, 2)
    server.stop()
    assert sorted(map(int, re.findall(r"Exits (\d+)", server.log))) == sorted(both)


def test_ttin_and_reopened_logs_reach_the_workers_to_come(start: Start, tmp_path: Path) -> None:
    log, old = tmp_path / "error.log", tmp_path / "error.log.1"
    server = start(wait=False, errorlog=str(log), preload_app=True, reuse_port=True)
    wait_until(lambda: log.exists() and "Serving" in log.read_text(), "the server serves")
    log.rename(old)
    server.signal(signal.SIGUSR1)
    wait_until(log.exists, "a new log")
    server.signal(signal.SIGTTIN)
    wait_until(lambda: "Seated" in log.read_text(), "a worker that writes to it")
    assert old.read_text().count("Seated") == 1
    server.stop()
    assert log.read_text().count("Drained by") == 2


def test_hup_can_begin_to_preload_and_end_it(start: Start) -> None:
    server = start("import os; print('Loaded by', os.getpid(), flush=True)", workers=2)
    for preload_app, loads in ((True, 3), (False, 5)):
        server.write_config(workers=2, preload_app=preload_app)
        server.signal(signal.SIGHUP)
        server.wait_for_log("Reloaded", server.log.count("Reloaded") + 1)
        assert server.log.count("Loaded by") == loads
    assert "needs a restart" not in server.log


def test_hups_leave_no_descriptor_behind(start: Start) -> None:
    def count(pid: int) -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    def counts() -> list[int]:
        return [count(pid) for pid in (server.pid, molds(server)[-1], *workers(server, 2))]

    server = start(workers=2, preload_app=True, bind=["127.0.0.1:0", "127.0.0.2:0"])
    server.wait_for_log("Seated", 2)
    before = counts()
    for turn in range(1, 4):
        server.signal(signal.SIGHUP)
        server.wait_for_log("Reloaded", turn)
    server.wait_for_log("Seated", 8)
    wait_until(lambda: counts() == before, "as many as at first")


def test_a_gpu_that_has_been_initialised_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "cuda.py").write_text("def is_initialized(): return True\n")
    server = start("import torch.cuda", preload_app=True)
    server.wait_for_log(
        r"\[WARNING\] The preloaded application has initialised CUDA \(torch\.cuda\), "
        "which cannot be used after a fork"
    )
