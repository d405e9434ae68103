"""Listening sockets, and what is said when there cannot be one."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from greenuni.arbiter.listeners import Listener, close_all, open_listeners
from greenuni.config import Address, Config
from greenuni.errors import ConfigError, ListenError


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listen(opened: ExitStack, *bind: str, **settings: object) -> list[Listener]:
    config = Config(bind=bind, **settings)  # type: ignore[arg-type]
    listeners = open_listeners(config, {})
    opened.callback(close_all, listeners)
    return list(listeners.values())


def connect(listener: Listener) -> None:
    """Raises OSError when nobody listens."""
    listening = listener.for_place(0)
    with socket.socket(listening.family) as client:
        client.connect(listening.getsockname())


# TCP


def test_port_0_is_shown_as_the_real_port(opened: ExitStack) -> None:
    (listener,) = listen(opened, "127.0.0.1:0")
    port = listener.for_place(0).getsockname()[1]
    assert port
    assert listener.url == f"http://127.0.0.1:{port}"
    assert not listener.for_place(0).getblocking()
    assert not listener.for_place(0).get_inheritable()
    connect(listener)


def test_ipv6_stands_in_brackets(opened: ExitStack) -> None:
    (listener,) = listen(opened, "[::1]:0")
    assert listener.url.startswith("http://[::1]:")
    connect(listener)


def test_a_name_is_looked_up(opened: ExitStack) -> None:
    (listener,) = listen(opened, "localhost:0")
    assert listener.url.startswith("http://127.0.0.1:")


def test_several_addresses_are_all_opened(opened: ExitStack, tmp_path: Path) -> None:
    listeners = listen(opened, "127.0.0.1:0", f"unix:{tmp_path}/a.sock", "127.0.0.2:0")
    assert len({listener.url for listener in listeners}) == 3
    for listener in listeners:
        connect(listener)


@pytest.mark.parametrize(
    ("bind", "reason"),
    [
        ("192.0.2.1:0", "this machine does not have that address"),
        ("no-such-host.invalid:0", "the host name is not known"),
        ("fd://999", "descriptor 999 is not an open socket"),
        ("unix:/no/such/directory/a.sock", "No such file or directory"),
        ("unix:/tmp/" + "a" * 200, "too long"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(opened: ExitStack, bind: str, reason: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {bind}: .*{reason}"):
        listen(opened, bind)


def test_a_port_in_use_says_how_to_find_its_owner(opened: ExitStack) -> None:
    (listener,) = listen(opened, "127.0.0.1:0")
    port = listener.for_place(0).getsockname()[1]
    with pytest.raises(ListenError, match=f"in use; `ss -ltnp 'sport = :{port}'`"):
        listen(opened, f"127.0.0.1:{port}")


def test_nothing_stays_open_when_one_address_fails(opened: ExitStack, tmp_path: Path) -> None:
    with pytest.raises(ListenError):
        listen(opened, f"unix:{tmp_path}/a.sock", "fd://999")
    assert list(tmp_path.iterdir()) == []


# reuse_port


def test_every_place_has_a_socket_of_its_own(opened: ExitStack) -> None:
    (listener,) = listen(opened, "127.0.0.1:0", reuse_port=True)
    first, third = listener.for_place(0), listener.for_place(2)
    assert first.getsockname() == third.getsockname()
    assert first is not third
    assert listener.for_place(2) is third
    assert "3 sockets" in repr(listener)


def test_places_that_nobody_holds_are_closed(opened: ExitStack) -> None:
    (listener,) = listen(opened, "127.0.0.1:0", reuse_port=True)
    unused = listener.for_place(1)
    listener.keep_places(1)
    assert unused.fileno() == -1
    connect(listener)


def test_without_reuse_port_all_share_one_socket(opened: ExitStack) -> None:
    (listener,) = listen(opened, "127.0.0.1:0")
    assert listener.for_place(0) is listener.for_place(5)
    listener.keep_places(1)
    connect(listener)


# Inherited descriptors


@pytest.mark.parametrize("listening", [True, False])
def test_an_inherited_descriptor_is_used(opened: ExitStack, listening: bool) -> None:
    with socket.socket() as parent:
        parent.bind(("127.0.0.1", 0))
        if listening:
            parent.listen()
        port = parent.getsockname()[1]
        (listener,) = listen(opened, f"fd://{os.dup(parent.fileno())}")
        assert listener.url == f"http://127.0.0.1:{port}"
        connect(listener)


def test_a_descriptor_that_cannot_listen_is_left_open() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        with pytest.raises(ListenError, match="not supported"):
            open_listeners(Config(bind=(f"fd://{datagrams.fileno()}",)), {})
        datagrams.getsockname()


# Unix sockets


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o777), (0o077, 0o700)])
def test_the_umask_is_for_the_socket(
    opened: ExitStack, tmp_path: Path, umask: int, mode: int
) -> None:
    listen(opened, f"unix:{tmp_path}/a.sock", umask=umask)
    assert stat.S_IMODE((tmp_path / "a.sock").stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_unix_socket_belongs_to_the_user_of_the_workers(
    opened: ExitStack, tmp_path: Path
) -> None:
    listen(opened, f"unix:{tmp_path}/a.sock", user="12345", group="54321")
    found = (tmp_path / "a.sock").stat()
    assert (found.st_uid, found.st_gid) == (12345, 54321)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_unknown_user_is_a_mistake_in_the_configuration(
    opened: ExitStack, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="there is no user 'nobody-of-that-name'"):
        listen(opened, f"unix:{tmp_path}/a.sock", user="nobody-of-that-name")


def test_a_stale_socket_is_replaced(opened: ExitStack, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "a.sock"))
        dead.listen()
    (listener,) = listen(opened, f"unix:{tmp_path}/a.sock")
    connect(listener)


@pytest.mark.parametrize("backlog", [16, 0])
def test_a_socket_of_a_living_server_is_left_alone(
    opened: ExitStack, tmp_path: Path, backlog: int
) -> None:
    path = str(tmp_path / "a.sock")
    with socket.socket(socket.AF_UNIX) as living, socket.socket(socket.AF_UNIX) as waiting:
        living.bind(path)
        living.listen(backlog)
        waiting.connect(path)
        with pytest.raises(ListenError, match=f"another server does; `ss -lxp src {path}`"):
            listen(opened, f"unix:{path}")
        assert os.path.exists(path)


def test_a_file_is_left_alone(opened: ExitStack, tmp_path: Path) -> None:
    (tmp_path / "a.sock").write_text("precious")
    with pytest.raises(ListenError, match="there is a file of that name, not a socket"):
        listen(opened, f"unix:{tmp_path}/a.sock")
    assert (tmp_path / "a.sock").read_text() == "precious"


def test_the_path_goes_with_its_server(tmp_path: Path) -> None:
    listeners = open_listeners(Config(bind=(f"unix:{tmp_path}/a.sock",)), {})
    close_all(listeners)
    assert list(tmp_path.iterdir()) == []
    close_all(listeners)


def test_the_path_of_another_server_is_not_removed(opened: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (listener,) = listen(opened, f"unix:{path}")
    path.rename(tmp_path / "moved")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        listener.close()
        assert path.exists()


def test_a_child_does_not_remove_the_path(opened: ExitStack, tmp_path: Path) -> None:
    (listener,) = listen(opened, f"unix:{tmp_path}/a.sock")
    kept = listener.for_place(0)
    listener.leave_to_child([kept])
    assert (tmp_path / "a.sock").exists()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "a.sock"))
    kept.close()


def test_abstract_names_are_no_files(opened: ExitStack) -> None:
    (listener,) = listen(opened, f"unix:@greenuni-test-{os.getpid()}")
    assert listener.url == f"unix:@greenuni-test-{os.getpid()}"
    connect(listener)


# A newer configuration


def test_what_stays_is_not_opened_again(opened: ExitStack, tmp_path: Path) -> None:
    before = open_listeners(Config(bind=("127.0.0.1:0", f"unix:{tmp_path}/a.sock")), {})
    opened.callback(close_all, before)
    after = open_listeners(Config(bind=("127.0.0.1:0", "127.0.0.2:0"), backlog=7), before)
    opened.callback(close_all, after)
    shared: Address = next(iter(before))
    assert after[shared] is before[shared]
    assert len(set(map(id, [*before.values(), *after.values()]))) == 3


def test_a_newer_configuration_that_fails_harms_nobody(opened: ExitStack) -> None:
    before = open_listeners(Config(bind=("127.0.0.1:0",)), {})
    opened.callback(close_all, before)
    with pytest.raises(ListenError):
        open_listeners(Config(bind=("127.0.0.1:0", "fd://999")), before)
    for listener in before.values():
        connect(listener)
