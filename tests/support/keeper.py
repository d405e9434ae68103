"""Clients that keep their one connection, and take its end under a request for a failure."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any


class Keeper:
    """One connection, which is never made anew. What is asked of it is answered by JSON."""

    def __init__(self, address: Any) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(30)
        self.socket.connect(address)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> Keeper:
        self.socket.sendall(data)
        return self

    def ask(self, path: str) -> Keeper:
        """Send a request, and do not wait for its answer."""
        return self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and fields of the next response. AssertionError when the connection ends instead."""
        line = self._reader.readline()
        assert line, "the connection was closed under a request"
        fields: dict[str, str] = {}
        while (field := self._reader.readline()) != b"\r\n":
            assert field, "the connection was closed within a response"
            name, _, value = field.decode().partition(":")
            fields[name.lower()] = value.strip()
        return int(line.split()[1]), fields

    def answer(self, *, closes: bool = False) -> dict[str, Any]:
        """The content of the next response, which is 200; ``closes`` is whether it is the last one."""
        status, fields = self.head()
        content = self._reader.read(int(fields["content-length"]))
        assert status == 200, content
        assert (fields.get("connection") == "close") == closes
        found: dict[str, Any] = json.loads(content)
        return found

    def chunk(self) -> bytes:
        """The next chunk of a response; empty for the last, with which its end has been read."""
        size = int(self._reader.readline(), 16)
        data = self._reader.read(size + 2)
        return data[:-2]

    def get(self, path: str) -> dict[str, Any]:
        return self.ask(path).answer()


class SteadyLoad:
    """Keepers that ask for one path after the other until ``stop``, which raises what failed."""

    def __init__(
        self,
        address: Any,
        paths: Iterable[str],
        check: Callable[[str, dict[str, Any]], object],
        clients: int = 8,
    ) -> None:
        """``check`` raises AssertionError if that is not the answer for the path."""
        self.requests = 0
        self._paths = list(paths)
        self._check = check
        self._has_to_stop = threading.Event()
        self._failures: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._run, args=(address, number)) for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, address: Any, number: int) -> None:
        try:
            with Keeper(address) as client:
                while not self._has_to_stop.is_set():
                    path = self._paths[number % len(self._paths)]
                    self._check(path, client.get(path))
                    self.requests += 1
                    number += 1
        except Exception as error:  # noqa: BLE001 - raised by ``stop``
            self._failures.append(error)

    def stop(self) -> int:
        """How many requests were answered."""
        self._has_to_stop.set()
        for thread in self._threads:
            thread.join(40)
        if self._failures:
            raise AssertionError(f"{len(self._failures)} failed") from self._failures[0]
        return self.requests

    def __enter__(self) -> SteadyLoad:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
