"""Error responses that the server writes itself: short, plain, and always the last on a connection."""

from __future__ import annotations

from greenuni.http.responder import SERVER, status_line


def error_response(status: int, detail: str, date: bytes, wants_body: bool = True) -> bytes:
    """A whole response: the status phrase and ``detail`` as text, ``Connection: close``.

    ``detail`` is one sentence for whoever reads the response; it never repeats what was sent.
    """
    line = status_line(status)
    phrase = line[len("HTTP/1.1 000 ") : -2]
    body = phrase + b"\n" + (detail.encode("utf-8") + b"\n" if detail else b"")
    head = (
        b"%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        b"Date: %s\r\nServer: %s\r\nConnection: close\r\n\r\n"
    ) % (line, len(body), date, SERVER)
    return head + body if wants_body else head
