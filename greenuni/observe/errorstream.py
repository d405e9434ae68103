"""``wsgi.errors``: a text stream whose lines become records of the error log."""

from __future__ import annotations

import io
import logging
import threading


class ErrorStream(io.TextIOBase):
    """One for a worker; each thread has its own unfinished line, so that lines stay whole."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._unfinished = threading.local()

    def __repr__(self) -> str:
        return f"<ErrorStream to {self._log.name}>"

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, rest = (self._take() + text).split("\n")
        for line in lines:
            self._log.error("%s", line)
        self._unfinished.text = rest
        return len(text)

    def flush(self) -> None:
        """Log a line that has no end yet."""
        if rest := self._take():
            self._log.error("%s", rest)

    def close(self) -> None:
        """Nothing: the stream is the server's (PEP 3333, "Input and Error Streams")."""

    def _take(self) -> str:
        rest: str = getattr(self._unfinished, "text", "")
        self._unfinished.text = ""
        return rest
