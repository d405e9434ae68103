"""Percent-decoding, beside that of the standard library."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest

from greenuni.http.target import decoded


@pytest.mark.parametrize(
    "raw_path",
    [
        b"/",
        b"/a%20b",
        b"/%2f%2F%c3%A9",
        b"/50%off",
        b"/%",
        b"/%4",
        b"/%%41%4%31%g1%1g",
        b"/%0x%+1%-1% 1%1 %\xb2\xb3",
        b"/%2541",
        b"/\xe9%e9",
    ],
)
def test_octets_are_decoded_once_as_everywhere(raw_path: bytes) -> None:
    assert decoded(raw_path) == unquote_to_bytes(raw_path)


def test_every_octet_has_an_escape() -> None:
    escapes = b"".join(b"%%%02x%%%02X" % (octet, octet) for octet in range(256))
    assert decoded(escapes) == bytes(octet for octet in range(256) for _ in range(2))
