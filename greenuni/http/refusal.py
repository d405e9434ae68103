"""Error responses that the server writes itself: short, plain, the last on their connection."""

from __future__ import annotations

from greenuni.http.framing import SERVER, status_line

RETRY_AFTER = b"1"  # seconds; what cannot be served now is a matter of a restart or a reload


def error_response(
    status: int, detail: str, date: bytes, wants_body: bool = True, lines: bytes = b""
) -> bytes:
    """A whole response: the status phrase and ``detail`` as plain text, ``Connection: close``.

    ``detail`` is one sentence for whoever reads the response; it must not quote what was sent.
    ``lines`` are further fields, each with its CRLF.
    """
    line = status_line(status)
    content = error_content(status, detail)
    # RFC 9110 15.6.4
    retry = b"Retry-After: %s\r\n" % RETRY_AFTER if status == 503 else b""
    head = (
        b"%s%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        b"%sDate: %s\r\nServer: %s\r\nConnection: close\r\n\r\n"
    ) % (line, lines, len(content), retry, date, SERVER)
    return head + content if wants_body else head


def error_content(status: int, detail: str) -> bytes:
    """What such a response says, ``text/plain`` in UTF-8: the status with its phrase, ``detail``."""
    phrase = status_line(status).partition(b" ")[2].strip()
    return b"%s\n%s\n" % (phrase, detail.encode("utf-8")) if detail else phrase + b"\n"
