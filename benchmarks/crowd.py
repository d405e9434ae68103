"""Many WebSocket clients in one process, as cheap as Python can make them: frames are made once.

They know what will come back, so they count bytes and parse nothing but the answer to the handshake.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from types import TracebackType

from commands import BenchError

PATIENCE = 30.0  # seconds that anything may take
AT_ONCE = 100  # handshakes under way, fewer than any server's backlog
HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = b"\x37\xfa\x21\x3d"


def client_frame(payload: bytes) -> bytes:
    """A binary message in one masked frame (RFC 6455 5.2)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    masked = bytes(octet ^ MASK[index % 4] for index, octet in enumerate(payload))
    return b"\x82" + length + MASK + masked


def server_frame_size(payload: bytes) -> int:
    """Bytes of the same message as a server sends it."""
    return len(payload) + (2 if len(payload) < 126 else 4)


class Crowd:
    """``count`` open WebSockets to one server, which sends each a ``greeting`` first, if there is one."""

    def __init__(self, port: int, count: int, path: bytes = b"/", greeting: bytes = b"") -> None:
        self._end_of_head = b"\r\n\r\n" + (
            b"\x82%c%s" % (len(greeting), greeting) if greeting else b""
        )
        self.sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        for start in range(0, count, AT_ONCE):
            self._join(port, min(AT_ONCE, count - start), path)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._poll.close()
        for client in self.sockets.values():
            client.close()
        self.sockets.clear()

    def _join(self, port: int, count: int, path: bytes) -> None:
        newcomers = []
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(HANDSHAKE % path)
            newcomers.append(client)
        for client in newcomers:
            head = client.recv(4096)
            while head.startswith(b"HTTP/1.1 101") and not head.endswith(self._end_of_head):
                head += client.recv(4096)
            if not head.startswith(b"HTTP/1.1 101"):
                raise BenchError(f"no WebSocket here: {head[:100]!r}")
            client.setblocking(False)
            self.sockets[client.fileno()] = client
            self._poll.register(client, select.EPOLLIN)

    def echo(self, payload: bytes, seconds: float) -> int:
        """Everybody sends, waits for the answer, and sends again; how many answers came, the last too."""
        frame, size = client_frame(payload), server_frame_size(payload)
        missing = dict.fromkeys(self.sockets, size)
        answers = 0
        for client in self.sockets.values():
            client.send(frame)
        deadline = time.monotonic() + seconds
        while missing:
            is_over = time.monotonic() >= deadline
            for fd, _ in self._ready():
                missing[fd] -= len(self.sockets[fd].recv(65536))
                if missing[fd] == 0:
                    answers += 1
                    if is_over:
                        del missing[fd]
                    else:
                        missing[fd] = size
                        self.sockets[fd].send(frame)
        return answers

    def broadcast(self, payload: bytes, times: int) -> int:
        """One of them speaks, and all hear it, again and again; how many heard something."""
        frame, size = client_frame(payload), server_frame_size(payload)
        speaker = next(iter(self.sockets.values()))
        for _ in range(times):
            speaker.send(frame)
            missing = size * len(self.sockets)
            while missing:
                for fd, _ in self._ready():
                    missing -= len(self.sockets[fd].recv(65536))
        return times * len(self.sockets)

    def _ready(self) -> list[tuple[int, int]]:
        ready = self._poll.poll(PATIENCE)
        if not ready:
            raise BenchError("nobody has heard anything for a long time")
        return ready
