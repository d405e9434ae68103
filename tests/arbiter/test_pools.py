"""Several pools as real processes: what each worker is given, and what the arbiter holds for them."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.arbiter.conftest import FakeServer, Start
from tests.support.server import wait_until

# A shell that tells what it was given, sends what a file named after its pool says ("api hello") to that
# pool, and tells what arrives. With a file "crash-POOL" it ends as soon as it is ready.
SHELL = """
import os, pathlib, signal, socket, time

def sockets():
    names = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    return sum(os.path.lexists(name) and os.readlink(name).startswith("socket:") for name in names)

def serve(seat):
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stopping.append(1))
    name, pools = os.environ.get("GREENUNI_POOL"), seat.pools
    doors = sorted(listener.getsockname()[0] for listener in seat.listeners)
    ways = (pools.own, pools.names, [str(mount) for mount in pools.mounts], pools.prefix)
    seat.log.info("Given %s %s %s %s %d", name, os.environ["GREENUNI_WORKER_ID"], doors, ways, sockets())
    seat.ready()
    if os.path.exists(f"crash-{name}"):
        os._exit(1)
    shown = {}
    while not stopping:
        seat.slot.beat()
        look_around(seat, name, pools, shown)
        time.sleep(0.02)
    seat.log.info("Ends and keeps clients: %s", pools.keeps_clients())

def look_around(seat, name, pools, shown):
    for index, other in enumerate(pools.names):
        if shown.get(other) != pools.is_up(index):
            shown[other] = pools.is_up(index)
            seat.log.info("Sees %s %s", other, "up" if shown[other] else "down")
    order = f"send-{name}"
    if os.path.exists(order):  # which is no more than false where the pool's user may not look
        target, text = pathlib.Path(order).read_text().split()
        os.unlink(order)
        socket.send_fds(pools.queues[pools.names.index(target)], [text.encode()], [2])
    try:
        text, descriptors, _, _ = socket.recv_fds(pools.arrivals, 100, 1)
    except BlockingIOError:
        return
    os.write(descriptors[0], b"through the descriptor\\n")
    os.close(descriptors[0])
    seat.log.info("Received %s in %d", text.decode(), os.getpid())
"""

THREE = """
bind = "127.0.0.1:0"
[pools.site]
app = "site_app:app"
raw_env = ["A=1"]
[pools.api]
app = "site_app:app"
mount = "/api"
bind = "127.0.0.2:0"
workers = 2
[pools.admin]
app = "site_app:app"
bind = "127.0.0.3:0"
"""

LISTEN = "0A"  # the state's number in /proc/net/tcp
StartPools = Callable[..., FakeServer]


@pytest.fixture
def start_pools(start: Start, tmp_path: Path) -> StartPools:
    def start_pools(toml: str = THREE, workers: int = 4) -> FakeServer:
        configure(tmp_path, toml)
        server = start(SHELL, wait=False)
        if workers:
            server.wait_for_log("Given ", workers)
            server.wait_for_log("Serving ", toml.count("[pools."))
        return server

    return start_pools


def configure(directory: Path, toml: str) -> None:
    (directory / "greenuni.toml").write_text(toml)


def workers_of(server: FakeServer, pool: str) -> list[int]:
    """The living workers that have said that they are of this pool."""
    told = re.findall(rf"\[(\d+)\] \[INFO\] \[{pool}\] Given", server.log)
    return [pid for pid in server.workers() if str(pid) in told]


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def send(server: FakeServer, sender: str, target: str, text: str) -> None:
    (server.directory / "sending").write_text(f"{target} {text}")
    (server.directory / "sending").rename(server.directory / f"send-{sender}")


def test_each_worker_is_given_what_is_its_pools(start_pools: StartPools) -> None:
    server = start_pools()
    given = sorted(re.findall(r"\[INFO\] \[(\w+)\] Given (.+)", server.log))
    ways = "('site', 'api'), ['/', '/api'], "
    # Sockets: the listeners, the sending ends of all who listen there, the receiving end of the own queue.
    assert given == [
        ("admin", "admin 0 ['127.0.0.3'] (0, ('admin',), ['/'], b'') 3"),
        ("api", f"api 0 ['127.0.0.1', '127.0.0.2'] (1, {ways}b'/api') 5"),
        ("api", f"api 1 ['127.0.0.1', '127.0.0.2'] (1, {ways}b'/api') 5"),
        ("site", f"site 0 ['127.0.0.1'] (0, {ways}b'') 4"),
    ]


def test_the_banner_names_the_pools(start_pools: StartPools) -> None:
    server = start_pools()
    lines = [line.split("[INFO] ")[-1] for line in server.log.splitlines()]
    assert lines[1:4] == [
        "[site] site_app:app at /, 1 worker",
        "[api] site_app:app at /api, 2 workers",
        "[admin] site_app:app at 127.0.0.3:0, 1 worker",
    ]
    assert lines[4].startswith("Listening at: http://127.0.0.1:")
    assert lines[5].startswith("[api] Listening at: http://127.0.0.2:")
    assert lines[6].startswith("[admin] Listening at: http://127.0.0.3:")
    assert (
        "[api] Serving site_app:app at /api, which is WSGI (function), with 2 sync w" in server.log
    )
    assert "[admin] Serving site_app:app, which is WSGI" in server.log


def test_a_descriptor_travels_to_the_other_pool_and_survives_generations(
    start_pools: StartPools,
) -> None:
    server = start_pools()
    send(server, "site", "api", "first")
    server.wait_for_log(r"\[api\] Received first in")
    assert "through the descriptor" in server.log
    server.signal(signal.SIGHUP)
    server.wait_for_log("Reloaded: ", 3)
    server.wait_for_log(r"\[api\] Ends and keeps clients: True", 2)
    send(server, "api", "site", "second")
    server.wait_for_log(r"\[site\] Received second in")


def test_what_lies_in_the_queue_outlives_the_worker(
    start_pools: StartPools, tmp_path: Path
) -> None:
    server = start_pools(THREE.replace("workers = 2", ""), 3)
    (worker,) = workers_of(server, "api")
    os.kill(worker, signal.SIGSTOP)
    send(server, "site", "api", "patience")
    wait_until(lambda: not (tmp_path / "send-site").exists(), "it is sent")
    os.kill(worker, signal.SIGKILL)
    server.wait_for_log(rf"\[api\] Received patience in (?!{worker})")


def test_others_see_that_a_pool_keeps_ending(start_pools: StartPools, tmp_path: Path) -> None:
    (tmp_path / "crash-api").touch()
    server = start_pools()
    server.wait_for_log(r"\[site\] Sees api up")
    server.wait_for_log(r"\[site\] Sees api down")
    site = workers_of(server, "site")
    (tmp_path / "crash-api").unlink()
    server.wait_for_log(r"\[site\] Sees api up", 2)
    assert workers_of(server, "site") == site
    assert "Sees site down" not in server.log


def test_hup_adds_changes_and_removes_pools(start_pools: StartPools, tmp_path: Path) -> None:
    server = start_pools()
    admin = workers_of(server, "admin")
    configure(
        tmp_path,
        'bind = "127.0.0.1:0"\n[pools.site]\napp = "site_app:app"\nworkers = 2\n'
        '[pools.new]\napp = "site_app:app"\nmount = "/new"\n'
        '[pools.api]\napp = "site_app:app"\nmount = "/api"\n',
    )
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[admin\] Worker 0 \(pid \d+\) ended .* not configured any more")
    assert "[admin] Ends and keeps clients: False" in server.log
    server.wait_for_log(r"\[new\] Serving site_app:app at /new")
    server.wait_for_log(r"\[site\] Reloaded: the new generation serves in 2 workers")
    wait_until(lambda: len(server.workers()) == 4, "two, one and one")
    assert not set(admin) & set(server.workers())
    assert server.log.count("Listening at: http://127.0.0.1") == 1
    # Its own address has gone with the pool; the one that api no longer has, too.
    addresses = re.findall(r"\] Listening at: http://(127.0.0.[23]):(\d+)", server.log)
    assert len(addresses) == 2
    wait_until(lambda: not any(is_listened_on(*at) for at in addresses), "nobody listens there")
    send(server, "site", "new", "welcome")
    server.wait_for_log(r"\[new\] Received welcome in")


def test_a_pool_that_moves_gives_its_address_up_though_another_could_not_roll(
    start_pools: StartPools, tmp_path: Path
) -> None:
    server = start_pools(THREE.partition("[pools.admin]")[0], 3)
    configure(
        tmp_path,
        THREE.partition("[pools.admin]")[0]
        .replace("127.0.0.2:0", "127.0.0.4:0")
        .replace("site_app:app", "missing_app:app", 1),
    )
    (old,) = re.findall(r"\] Listening at: http://127.0.0.2:(\d+)", server.log)
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[site\] The reload is given up; what was loaded before goes on in 1 w")
    server.wait_for_log(r"\[api\] Reloaded: the new generation serves in 2 workers")
    wait_until(lambda: not is_listened_on("127.0.0.2", old), "nobody listens there")
    (new,) = re.findall(r"\] Listening at: http://127.0.0.4:(\d+)", server.log)
    assert is_listened_on("127.0.0.4", new)
    send(server, "site", "api", "still")
    server.wait_for_log(r"\[api\] Received still in")


def is_listened_on(host: str, port: str) -> bool:
    """Whether a socket of this machine listens there."""
    wanted = f"{socket.inet_aton(host)[::-1].hex().upper()}:{int(port):04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1] == wanted and line.split()[3] == LISTEN for line in lines)


def test_a_single_application_becomes_pools_and_back(start: Start, tmp_path: Path) -> None:
    server = start(SHELL)
    server.wait_for_log(r"Given None 0 \['127.0.0.1'\] \(0, \('',\), \['/'\], b''\) 3")
    configure(tmp_path, THREE)
    server.signal(signal.SIGHUP)
    server.wait_for_log("its pool is not configured any more")
    wait_until(lambda: len(server.workers()) == 4, "the workers of the pools")
    (tmp_path / "greenuni.toml").unlink()
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"Given None 0 \['127.0.0.1'\] \(0, \('',\), \['/'\], b''\) 3", 2)
    wait_until(lambda: len(server.workers()) == 1, "the single worker")
    assert server.log.count("Listening at: http://127.0.0.1") == 1


def test_a_new_pool_that_cannot_boot_is_told_to_the_others(
    start_pools: StartPools, tmp_path: Path
) -> None:
    server = start_pools()
    configure(tmp_path, THREE + '[pools.new]\napp = "missing_app:app"\nmount = "/new"\n')
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[new\] Given up until the next HUP: no worker of this pool could boot")
    server.wait_for_log(r"\[site\] Sees new down")
    server.wait_for_log("Reloaded: ", 3)
    assert len(workers_of(server, "site")) >= 1
    (tmp_path / "missing_app.py").write_text("from site_app import *\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[site\] Sees new up")
    server.wait_for_log(r"\[new\] Serving missing_app:app at /new")


def test_a_pool_that_cannot_boot_at_the_start_ends_the_server(
    start_pools: StartPools, tmp_path: Path
) -> None:
    toml = THREE + '[pools.new]\napp = "missing_app:app"\nmount = "/new"\n'
    server = start_pools(toml, 0)
    assert server.wait() == 3
    assert "[new] there is no module 'missing_app'" in server.log
    told = [line for line in server.log.splitlines() if f"[{server.pid}]" in line]
    assert told[-1].endswith("Stopping: the first generation of pool new cannot boot")


def test_term_drains_every_pool(start_pools: StartPools) -> None:
    server = start_pools()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert (
        len(re.findall(r"\[(?:site|api|admin)\] Worker .* ended with exit status 0", server.log))
        == 4
    )


def test_twenty_hups_leave_no_descriptor_behind(start_pools: StartPools, tmp_path: Path) -> None:
    fewer, _, _ = THREE.partition("[pools.admin]")
    server = start_pools()
    before = descriptors(server.pid)
    in_workers = sorted(map(descriptors, server.workers()))
    for turn in range(20):
        configure(tmp_path, fewer if turn % 2 == 0 else THREE)
        wanted = 3 if turn % 2 == 0 else 4
        old = set(server.workers())
        server.signal(signal.SIGHUP)
        wait_until(
            lambda: len(now := set(server.workers())) == wanted and not now & old,  # noqa: B023
            f"a new generation after HUP {turn}",
        )
    wait_until(lambda: descriptors(server.pid) == before, "as many descriptors as at first")
    wait_until(
        lambda: sorted(map(descriptors, server.workers())) == in_workers, "in the workers, too"
    )


def test_preloaded_pools_have_surroundings_of_their_own(
    start: Start, tmp_path: Path, preloading: str
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(
            "import os\nfrom site_app import app\n"
            "print('Loaded', os.environ['GREENUNI_POOL'], os.environ.get('A'), "
            "os.path.basename(os.getcwd()), os.getpid(), flush=True)\n"
        )
        (tmp_path / name / f"late_{name}.py").touch()
    configure(
        tmp_path,
        'bind = "127.0.0.1:0"\npythonpath = "."\n'
        '[pools.a]\napp = "one:app"\nchdir = "one"\npreload_app = true\nraw_env = ["A=1"]\n'
        '[pools.b]\napp = "two:app"\nchdir = "two"\npreload_app = true\nmount = "/b"\n',
    )
    server = start(SHELL.replace("    seat.ready()\n", LATE), wait=False)
    server.wait_for_log("Serving ", 2)
    loaded = dict(re.findall(r"Loaded (a 1 one|b None two) (\d+)\n", server.log))
    assert server.log.count("Loaded") == len(loaded) == 2
    by_arbiter = [pid == str(server.pid) for pid in loaded.values()]
    assert by_arbiter == [preloading == "arbiter"] * 2
    server.wait_for_log("Here is a 1 one")
    server.wait_for_log("Here is b None two")


LATE = """
    here = os.path.basename(os.getcwd())
    __import__("late_" + here)
    seat.log.info("Here is %s %s %s", name, os.environ.get("A"), here)
    seat.ready()
"""


@pytest.mark.usefixtures("preloading")
def test_modules_of_one_preloaded_pool_are_not_seen_by_another(
    start: Start, tmp_path: Path
) -> None:
    toml = 'bind = "127.0.0.1:0"\n'
    for name, preload in (("a", "true"), ("b", "true"), ("c", "false")):
        (tmp_path / name / "space").mkdir(parents=True)
        (tmp_path / name / "main.py").write_text(
            "from site_app import app\nimport helper, space.inner\n"
            "print('Found', helper.NAME, space.inner.NAME, flush=True)\n"
        )
        for module in ("helper.py", "space/inner.py", "late.py"):
            (tmp_path / name / module).write_text(f"import helper\nNAME = helper.NAME = '{name}'\n")
        (tmp_path / name / "helper.py").write_text(f"NAME = '{name}'\n")
        toml += f'[pools.{name}]\napp = "main:app"\nchdir = "{name}"\npreload_app = {preload}\n'
        toml += f'mount = "/{name}"\npythonpath = ".,{tmp_path}"\n'
    configure(tmp_path, toml)
    late = "    import late, helper\n    seat.log.info('Late %s', late.helper is helper and late.NAME)\n"
    server = start(SHELL.replace("    seat.ready()\n", late + "    seat.ready()\n"), wait=False)
    server.wait_for_log("Serving ", 3)
    for name in "abc":
        assert server.log.count(f"Found {name} {name}\n") == 1
        assert f"[{name}] Late {name}\n" in server.log


@pytest.mark.usefixtures("preloading")
def test_a_preloaded_pool_that_cannot_be_loaded_is_named(start: Start, tmp_path: Path) -> None:
    configure(
        tmp_path, '[pools.a]\napp = "nothing_here:app"\npreload_app = true\nbind = "127.0.0.3:0"'
    )
    server = start(SHELL, wait=False)
    assert server.wait() == 3
    assert re.search(r"\[ERROR\] \[a\] .*nothing_here", server.log)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its user")
def test_each_pool_has_its_own_user(start_pools: StartPools) -> None:
    # Preloaded, because the other user may not be able to read what would be imported.
    toml = THREE.replace("workers = 2", 'user = "daemon"').replace(
        "[pools", "preload_app = true\n[pools", 1
    )
    server = start_pools(toml, 3)
    owners = {
        pool: os.stat(f"/proc/{workers_of(server, pool)[0]}").st_uid for pool in ("site", "api")
    }
    assert owners == {"site": 0, "api": 1}


def test_pools_are_shown_as_down_before_their_workers_end(start_pools: StartPools) -> None:
    server = start_pools()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert server.log.count("Ends and keeps clients: False") == 4
    assert "Ends and keeps clients: True" not in server.log


def test_without_an_arbiter_nobody_follows(start_pools: StartPools) -> None:
    server = start_pools()
    os.kill(server.pid, signal.SIGKILL)
    server.wait_for_log("Ends and keeps clients: False", 4)
