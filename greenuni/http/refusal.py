"""Error responses that the server writes itself: short, plain, the last on their connection."""

from __future__ import annotations

from greenuni.http.framing import SERVER, status_line


def error_response(status: int, detail: str, date: bytes, wants_body: bool = True) -> bytes:
    """A whole response: the status phrase and ``detail`` as plain text, ``Connection: close``.

    ``detail`` is one sentence for whoever reads the response; it must not quote what was sent.
    """
    line = status_line(status)
    content = error_content(status, detail)
    head = (
        b"%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        b"Date: %s\r\nServer: %s\r\nConnection: close\r\n\r\n"
    ) % (line, len(content), date, SERVER)
    return head + content if wants_body else head


def error_content(status: int, detail: str) -> bytes:
    """What such a response says, ``text/plain`` in UTF-8: the status with its phrase, ``detail``."""
    phrase = status_line(status).partition(b" ")[2].strip()
    return b"%s\n%s\n" % (phrase, detail.encode("utf-8")) if detail else phrase + b"\n"
