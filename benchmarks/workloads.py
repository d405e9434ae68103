"""What is asked of every server: one row a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Interface = Literal["wsgi", "asgi"]

HELLO = b"Hello, world!"
LARGE_BODY = b"x" * 100_000
ECHO_BYTES = 1024

# What a current browser sends with a plain navigation, Host apart.
BROWSER_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cookie": "sessionid=q3k1x0v9n7c2b5m8l4j6h1g3f5d7s9a2; csrftoken=Zx81Qm5vT2rN8pLc",
    "DNT": "1",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Priority": "u=0, i",
}


@dataclass(frozen=True)
class Workload:
    """One request, sent again and again, and the one right answer to it.

    ``apps`` gives the application (``module:attribute`` under ``apps/``) for each interface; a
    server whose interface is missing does not take part. ``sends_bytes`` is the length of the
    request's body, which consists of the letter x.
    """

    name: str
    title: str
    apps: Mapping[Interface, str]
    expects: bytes
    method: str = "GET"
    sends_bytes: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The request's body."""
        return b"x" * self.sends_bytes


def _plain(attribute: str) -> dict[Interface, str]:
    return {"wsgi": f"wsgi_app:{attribute}", "asgi": f"asgi_app:{attribute}"}


WORKLOADS = (
    Workload("hello", "hello, 13 bytes", _plain("hello"), HELLO),
    Workload(
        "browser", "hello, 11 browser headers", _plain("hello"), HELLO, headers=BROWSER_HEADERS
    ),
    Workload(
        "echo",
        "POST 1 KiB, echoed",
        _plain("echo"),
        b"x" * ECHO_BYTES,
        method="POST",
        sends_bytes=ECHO_BYTES,
    ),
    Workload("large", "100 KB body", _plain("large"), LARGE_BODY),
    Workload(
        "close",
        "hello, a connection per request",
        _plain("hello"),
        HELLO,
        headers={"Connection": "close"},
    ),
    Workload("flask", "Flask hello", {"wsgi": "flask_app:app"}, HELLO),
    Workload("fastapi", "FastAPI hello", {"asgi": "fastapi_app:app"}, HELLO),
)

BY_NAME = {workload.name: workload for workload in WORKLOADS}
