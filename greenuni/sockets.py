"""What both shells do with sockets, beyond bytes (`transfer`). A leaf."""

from __future__ import annotations

import errno
import socket
import struct
from _socket import SocketType

_NO_LINGERING = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds

# What ``accept`` says when a limit of the process or of the system is reached.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


def reset_on_close(sock: SocketType) -> None:
    """Let the peer get an error instead of an end when ``sock`` is closed. Raises OSError."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
