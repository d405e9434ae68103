"""A worker's user, signals and environment; each in a process of its own, for they cannot be undone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its user")

BECOME = """
import json, os, sys
from greenuni.config import Config
from greenuni.errors import GreenuniError
from greenuni.worker.identity import become_worker, set_environment
settings = json.loads(sys.argv[1])
start = settings.pop("start", None)
if start: os.setuid(start)
settings["raw_env"] = tuple(settings.get("raw_env", ()))
set_environment(Config(**settings))
try:
    become_worker(Config(**settings), 3)
except GreenuniError as error:
    print(json.dumps({"error": str(error)}))
else:
    print(json.dumps({
        "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "umask": os.umask(0),
        "id": os.environ["GREENUNI_WORKER_ID"], "A": os.environ.get("A"),
        "comm": open("/proc/self/comm").read().strip(),
    }))
"""


def become(**settings: Any) -> dict[str, Any]:
    # Not from the checkout: another user may not be able to enter it.
    done = subprocess.run(
        [sys.executable, "-c", BECOME, json.dumps(settings)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tempfile.gettempdir(),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_nothing_asked_nothing_changed() -> None:
    found = become()
    mask = os.umask(0)
    os.umask(mask)
    assert (found["uid"], found["gid"], found["umask"]) == (os.getuid(), os.getgid(), mask)
    assert found["id"] == "3"


def test_environment_umask_and_name() -> None:
    found = become(raw_env=["A=b=c"], umask=0o027, proc_name="site")
    assert (found["A"], found["umask"]) == ("b=c", 0o027)
    assert found["comm"].startswith("greenuni: worke")


@needs_root
def test_a_user_brings_its_groups_along() -> None:
    found = become(user="daemon")
    assert (found["uid"], found["gid"]) == (1, 1)
    assert 0 not in found["groups"]


@needs_root
def test_user_and_group_by_number_need_not_be_known() -> None:
    found = become(user="12345", group="54321")
    assert (found["uid"], found["gid"], found["groups"]) == (12345, 54321, [])


@needs_root
def test_a_group_alone() -> None:
    found = become(group="daemon")
    assert (found["uid"], found["gid"]) == (0, 1)


@needs_root
def test_without_root_the_user_cannot_be_changed() -> None:
    found = become(start=12345, user="daemon")
    assert found["error"] == "--user and --group need root: this server runs as user 12345"


@needs_root
def test_without_root_the_same_user_is_no_change() -> None:
    assert become(start=12345, user="12345")["uid"] == 12345


SIGNALS = """
import os, signal, sys
from greenuni.worker.identity import set_boot_signals
set_boot_signals(lambda: print("reopened", flush=True))
print("set", flush=True)
while True: signal.pause()
"""


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, -signal.SIGINT), (signal.SIGQUIT, 0)],
)
def test_while_it_boots_a_worker_ends_at_once(number: signal.Signals, status: int) -> None:
    with subprocess.Popen([sys.executable, "-c", SIGNALS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"set\n"
        for harmless in (signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN, signal.SIGWINCH):
            process.send_signal(harmless)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == b"reopened\n"
        process.send_signal(number)
        assert process.wait(5) == status


EXITING = """
import atexit, signal, sys, time
from greenuni.worker.identity import set_boot_signals, set_exit_signals
set_boot_signals(lambda: None)
class Slow:
    def __del__(self): print("late", flush=True); time.sleep(0.5)
sys.modules["kept"] = Slow()
set_exit_signals()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_does_not_spoil_an_end_that_is_under_way(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", EXITING], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"late\n"  # the interpreter is being taken down
        process.send_signal(number)
        assert process.wait(5) == 0
