"""What a plain request does not cost: a second write, clocks, records for a log that is off."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

import greenuni.wsgi.connection
import greenuni.wsgi.services

from .harness import GET, Client, hello, serving

BODY = b"Hello, world!"
DATA_SEGMENTS_IN = struct.Struct("152x I")  # in tcp_info (linux/tcp.h)


def generator(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", str(len(BODY)))])
    yield BODY


def writer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", str(len(BODY)))])(BODY)
    return []


def stream(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Its end is known when it has come, so that is a write of its own."""
    start_response("200 OK", [])
    yield BODY


def segments_received(client: Client) -> int:
    """Segments with data that have come: one for each small write, as the server does not wait for more."""
    known = client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS_IN.size)
    if len(known) < DATA_SEGMENTS_IN.size:
        pytest.skip("the kernel does not count segments")
    count: int = DATA_SEGMENTS_IN.unpack(known)[0]
    return count


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("app", "writes"), [(hello, 1), (generator, 1), (writer, 1), (stream, 2)])
def test_head_and_first_chunk_are_one_write(app: Any, writes: int, threads: int) -> None:
    with serving(app, threads=threads) as shell, shell.connect() as client:
        for answered in range(1, 4):
            assert client.get().body == BODY
            assert segments_received(client) == answered * writes


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("made what nobody needs")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(greenuni.wsgi.connection, "monotonic"), (greenuni.wsgi.services, "Exchange")],
    ids=["clock", "record"],
)
def test_no_clock_is_asked_and_no_record_made_while_the_access_log_is_off(
    owner: Any, name: str, threads: int
) -> None:
    with (
        serving(hello, threads=threads) as shell,
        shell.connect() as client,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(owner, name, refuse)
        for _ in range(3):
            assert client.get().body == BODY


def test_what_is_forbidden_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A request behind another in one piece has a time at which it came."""
    with serving(hello) as shell, shell.connect() as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(greenuni.wsgi.connection, "monotonic", refuse)
        client.send(GET + GET)
        assert client.response().body == BODY
        assert client.is_closed()
    assert "made what nobody needs" in caplog.text
