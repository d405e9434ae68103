"""Files for ``http.response.pathsend``, read in a worker thread so that a disk never blocks the loop."""

from __future__ import annotations

import io
import os
import stat

import anyio
from anyio import to_thread

BLOCK = 262144  # bytes read at a time


class FileToSend:
    """An open regular file of ``size`` bytes, of which ``remaining`` have not been read.

    Use as an asynchronous context manager.

    Raises what ``open`` raises, ValueError for a relative path or something that is not a file.
    """

    def __init__(self, path: str, limiter: anyio.CapacityLimiter) -> None:
        self.size = 0
        self.remaining = 0
        self._path = path
        self._limiter = limiter
        self._file: io.FileIO | None = None

    def __repr__(self) -> str:
        return f"<FileToSend {self._path!r} size={self.size}>"

    async def __aenter__(self) -> FileToSend:
        if not os.path.isabs(self._path):
            raise ValueError(f"http.response.pathsend needs an absolute path, not {self._path!r}")
        self._file, self.size = await to_thread.run_sync(_open, self._path, limiter=self._limiter)
        self.remaining = self.size
        return self

    async def __aexit__(self, *_: object) -> None:
        # In the loop: nothing was written, so closing has nothing to wait for, and it must also
        # happen when this task is being cancelled.
        if self._file is not None:
            self._file.close()

    async def read(self) -> bytes:
        """The next bytes; none when all have been read. EOFError if the file was cut short."""
        assert self._file is not None
        if not self.remaining:
            return b""
        count = min(BLOCK, self.remaining)
        block = await to_thread.run_sync(self._file.read, count, limiter=self._limiter)
        if not block:
            raise EOFError(f"{self._path!r} has become shorter while it was sent")
        self.remaining -= len(block)
        return block


def _open(path: str) -> tuple[io.FileIO, int]:
    # Not blocking, for a FIFO without a writer would hold the thread for ever.
    file = io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise ValueError(f"http.response.pathsend can send files only, and {path!r} is none")
    return file, status.st_size
