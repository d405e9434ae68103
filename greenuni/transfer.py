"""Accepting, reading, writing and closing a non-blocking socket by its descriptor.

``transfer.pyx`` is the same in C: without a method to look up, arguments to parse, a buffer to shrink,
an exception to make when there is nothing yet, or the interpreter's lock to give up for a call that
cannot block. It is what runs where it was built.
"""

from __future__ import annotations

import os
import socket
from typing import Any

RECEIVE_SIZE = 64 * 1024  # bytes asked for at once


def accept(listener: socket.socket) -> tuple[int, Any]:
    """A non-blocking descriptor of the next connection, and its peer's address. Raises OSError.

    The address is that of ``socket.accept`` for IPv4 and IPv6, and ``""`` for anything else.
    """
    fd, address = listener._accept()  # type: ignore[attr-defined]
    os.set_blocking(fd, False)
    return fd, address if isinstance(address, tuple) else ""


def close(fd: int) -> None:
    """Close it. What goes wrong is of no use to anybody: the descriptor is gone in any case."""
    try:
        os.close(fd)
    except OSError:
        pass


def maybe_receive(fd: int) -> bytes | None:
    """What there is, ``b""`` at EOF, None when there is nothing yet. Raises ConnectionError."""
    try:
        return os.read(fd, RECEIVE_SIZE)
    except BlockingIOError:
        return None
    except ConnectionError:
        raise
    except OSError as error:  # a route that went away, say
        raise ConnectionError(str(error)) from error


def send(fd: int, data: bytes | bytearray) -> int:
    """How many bytes the socket took, 0 when it takes none now. Raises ConnectionError."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
    except ConnectionError:
        raise
    except OSError as error:
        raise ConnectionError(str(error)) from error
