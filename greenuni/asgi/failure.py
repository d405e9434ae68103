"""What the log and the client are told when the application fails a request."""

from __future__ import annotations

import logging
import re
import uuid

from greenuni.http import Request
from greenuni.observe.access import escape

_REQUEST_ID = re.compile(rb"[0-9A-Za-z._:+/=@-]{1,64}")


def request_id(request: Request) -> str:
    """The X-Request-ID that came with the request if it looks like one, else a new one."""
    for name, value in request.headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return uuid.uuid4().hex


def title(request: Request) -> str:
    """``GET /path``, fit for a log line; without the query, which may hold secrets."""
    return f"{escape(request.method)} {escape(request.raw_path)}"


def log_exception(log: logging.Logger, request: Request, name: str, error: BaseException) -> None:
    """The traceback of an exception that came out of the application, without our own frame."""
    frames = error.__traceback__
    log.error(
        "%s: the application raised %s (request id %s)",
        title(request),
        type(error).__name__,
        name,
        exc_info=(type(error), error, frames.tb_next if frames is not None else None),
    )


def log_complaint(log: logging.Logger, request: Request, name: str, complaint: str) -> None:
    """One line for what the application did wrong without raising."""
    log.error("%s: %s (request id %s)", title(request), complaint, name)


def page_detail(name: str) -> str:
    """What the error page says, so that a user's report leads to the log."""
    return f"The request id is {name}."
