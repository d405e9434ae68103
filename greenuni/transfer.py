"""Reading and writing a non-blocking socket by its descriptor.

``transfer.pyx`` is the same in C: without a method to look up, arguments to parse, a buffer to shrink,
an exception to make when there is nothing yet, or the interpreter's lock to give up for a call that
cannot block. It is what runs where it was built.
"""

from __future__ import annotations

import os

RECEIVE_SIZE = 64 * 1024  # bytes asked for at once


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
