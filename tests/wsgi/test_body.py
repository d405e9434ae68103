"""Request bodies on their way to the application."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from greenuni.errors import RemoteProtocolError
from greenuni.http import Connection, Limits
from greenuni.wsgi.body import RequestBody, SpoolError
from greenuni.wsgi.reader import (
    BODY_MISSING,
    CLIENT_GONE,
    HEAD_MISSING,
    WHOLE,
    Progress,
    RequestReader,
)
from tests.wsgi.harness import request


@pytest.mark.parametrize("chunks", [[], [b"abc"], [b"abc", b"d"], [b"abcd", b"e"], [b"a"] * 50])
def test_what_goes_in_comes_out(chunks: list[bytes]) -> None:
    body = RequestBody(4, None)
    for chunk in chunks:
        body.write(chunk)
    whole = b"".join(chunks)
    assert body.size == len(whole)
    assert body.in_memory is (len(whole) <= 4)
    with body.open() as file:
        assert file.read() == whole
    body.close()


def test_no_directory() -> None:
    body = RequestBody(4, "/nowhere")
    body.write(b"1234")
    with pytest.raises(SpoolError, match=r"into /nowhere: No such file.*tmp_upload_dir"):
        body.write(b"5")
    body.close()


def test_no_room(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    body = RequestBody(4, str(tmp_path))
    try:
        body.write(b"x" * 90_000)
        with pytest.raises(SpoolError, match="File too large"):
            body.write(b"x" * 20_000)
        body.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def new_reader() -> RequestReader:
    return RequestReader(Connection(Limits()), 10, None)


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_request_in_pieces_of_any_size(step: int, framing: str) -> None:
    if framing == "length":
        data = request("/x", "POST", b"a body of 22 bytes ...")
    else:
        data = request("/x", "POST", transfer_encoding="chunked")
        data += b"6\r\na body\r\n10\r\n of 22 bytes ...\r\n0\r\n\r\n"
    reader = new_reader()
    progress = HEAD_MISSING
    seen = []
    for position in range(0, len(data), step):
        reader.wire.receive_data(data[position : position + step])
        progress = reader.read()
        seen.append(progress)
    assert progress is WHOLE
    assert [*dict.fromkeys(seen)] == sorted({*seen}, key=list(Progress).index)
    assert reader.request
    assert reader.request.target == b"/x"
    assert reader.body_size == 22
    assert reader.input
    assert reader.input.read() == b"a body of 22 bytes ..."
    reader.close()
    assert reader.input is None


def test_bytes_of_the_next_request_stay() -> None:
    reader = new_reader()
    reader.wire.receive_data(request("/1") + request("/2"))
    assert reader.read() is WHOLE
    assert reader.wire.has_more


def test_nothing_is_closed_and_a_part_is_an_error() -> None:
    reader = new_reader()
    reader.wire.receive_data(b"")
    assert reader.read() is CLIENT_GONE
    reader = new_reader()
    reader.wire.receive_data(b"GET")
    assert reader.read() is HEAD_MISSING
    reader.wire.receive_data(b"")
    with pytest.raises(RemoteProtocolError):
        reader.read()


def test_100_continue_once_and_only_when_waited_for() -> None:
    reader = new_reader()
    reader.wire.receive_data(request("/", "POST", expect="100-continue", content_length="4"))
    assert reader.read() is BODY_MISSING
    assert reader.maybe_continue().startswith(b"HTTP/1.1 100 ")
    assert reader.maybe_continue() == b""
