"""Paths as the two interfaces write them, and where one application ends and another begins.

ASGI's ``path`` is text and includes ``root_path``; but behind a proxy that takes the prefix off, it does
not, and both work if the prefix is only taken off where it is (Starlette's rule). PEP 3333 splits the
path into SCRIPT_NAME and PATH_INFO, whose characters are the octets of the UTF-8 text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

_REPLACED = "\N{REPLACEMENT CHARACTER}"


def is_under(path: str, prefix: str) -> bool:
    """Whether ``path`` is ``prefix`` or goes on behind it with a new segment. All is under ``""``."""
    return not prefix or (
        path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
    )


def below(path: str, prefix: str) -> str:
    """What is left of ``path`` under ``prefix``; the whole of it if it is not there."""
    return path[len(prefix) :] if prefix and is_under(path, prefix) else path


def octets(text: str) -> str:
    """``text`` as PEP 3333 wants it: one latin-1 character for each octet of its UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def text_of(native: str) -> str:
    """The other way. What is not UTF-8 becomes U+FFFD, as in ASGI's ``path``."""
    return native if native.isascii() else native.encode("latin-1").decode("utf-8", "replace")


def octets_of_path(scope: Mapping[str, Any]) -> str:
    """The path of an ASGI scope as octets, exact even where it was no UTF-8.

    ``path`` is what counts, for middleware may have changed it. Only where it has lost octets are they
    looked up in ``raw_path``.
    """
    path: str = scope["path"]
    if path.isascii():
        return path
    if _REPLACED in path and (raw := scope.get("raw_path")):
        whole = unquote_to_bytes(raw)
        if whole.decode("utf-8", "replace") == path:
            return whole.decode("latin-1")
    return octets(path)
