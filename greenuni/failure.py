"""What the log and the client are told when the application fails a request, in both shells."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable

from greenuni.errors import LocalProtocolError, without_our_frames
from greenuni.observe.access import escape

_REQUEST_ID = re.compile(rb"[0-9A-Za-z._~+/=:@-]{1,64}")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The X-Request-ID that came with the request if it is harmless, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return os.urandom(8).hex()


def title(method: bytes, raw_path: bytes) -> str:
    """``GET /path``, fit for a log line; without the query, which may hold secrets."""
    return f"{escape(method)} {escape(raw_path)}"


def log_exception(log: logging.Logger, name: str, identifier: str, error: BaseException) -> None:
    """What came out of the application while it answered the request of that ``title``.

    The traceback begins at the application's first frame. Where it has none, the application broke
    HTTP by what it returned, and the message says all there is; or the fault is ours, and shown.
    """
    traceback = without_our_frames(error.__traceback__)
    if traceback is None and not isinstance(error, LocalProtocolError):
        traceback = error.__traceback__
    log.error(
        "Error in the application: %s (request id %s): %s",
        name,
        identifier,
        error if traceback is None else type(error).__name__,
        exc_info=None if traceback is None else (type(error), error, traceback),
    )


def log_complaint(log: logging.Logger, name: str, identifier: str, complaint: str) -> None:
    """One line for what the application did wrong without raising."""
    log.error("Error in the application: %s (request id %s): %s", name, identifier, complaint)


def page_detail(identifier: str) -> str:
    """What the error page says, so that a user's report leads to the log."""
    return f"The request id is {identifier}."
