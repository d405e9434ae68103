"""What goes to one client: straight to the socket, and what the socket does not take to a spool.

Whoever owns the connection writes: the thread that runs the application, then the loop, which
flushes the rest. The socket is non-blocking, so a write never waits for the reader; the rest is
kept, in this order:

1. in memory, up to ``memory_limit`` bytes;
2. then the writer waits for a reader that has proved to be fast. Each byte taken buys waiting time
   at the rate of ``FAST_READER``, so a client on the same machine or network never causes disk
   traffic, and a slow one costs a few milliseconds in all;
3. then in a temporary file, up to ``file_limit`` bytes;
4. then, or when no file can be made, the writer has to wait until the reader takes something, or
   until it has taken nothing for ``send_timeout`` seconds.

Memory is older than the file: while the file has something, all that is new goes there.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from typing import IO, NamedTuple

from greenuni.poller import wait_writable
from greenuni.transfer import send

FAST_READER = 64 * 1024 * 1024  # bytes a second
JOIN_LIMIT = 16 * 1024  # below this, copying parts together is cheaper than a gathering write
BLOCK_SIZE = 64 * 1024  # read from a file and given to the socket at once
SENDFILE_SIZE = 1024 * 1024
FLUSH_LIMIT = 1024 * 1024  # given by one flush, so that one fast reader does not keep the loop

# What sendfile() answers where the file or the system has no such thing; reading works.
_NO_SENDFILE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSOCK)

Bytes = bytes | bytearray


class ClientDisconnected(ConnectionError):
    """The client has gone, or has taken nothing for ``send_timeout`` seconds."""


class SourceTruncated(Exception):
    """A file that is being sent is shorter than it was."""


class OutputLimits(NamedTuple):
    """Bytes in memory and on disk for one response, seconds without progress (0: for ever)."""

    memory: int
    file: int
    send_timeout: float


class OutputDisk:
    """Makes the temporary files of all responses of a worker; says once that it cannot."""

    def __init__(self, directory: str | None, log: logging.Logger) -> None:
        self._directory = directory
        self._log = log
        self._is_failing = False

    def __repr__(self) -> str:
        return f"<OutputDisk {self._directory or 'default'}{' failing' * self._is_failing}>"

    def maybe_open(self) -> SpoolFile | None:
        """A new file, or None when there cannot be one."""
        try:
            file = SpoolFile(self._directory)
        except OSError as error:
            self.failed(error)
            return None
        return file

    def worked(self) -> None:
        self._is_failing = False

    def failed(self, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            self._log.warning(
                "cannot spool a response (%s): now the application waits for slow readers; "
                "set tmp_upload_dir to a directory with room that this user may write to",
                error.strerror or error,
            )


class Output:
    """The bytes on their way to one client. Owned by one thread at a time, with its connection."""

    __slots__ = (
        "_disk",
        "_file",
        "_limits",
        "_memory",
        "_region",
        "_waited",
        "fd",
        "pending",
        "taken",
    )

    def __init__(self, fd: int, limits: OutputLimits, disk: OutputDisk) -> None:
        self.fd = fd
        self._limits = limits
        self._disk = disk
        self._memory = bytearray()
        self._file: SpoolFile | None = None
        self._region: FileRegion | None = None
        self.pending = False  # whether anything is kept that the socket has not taken
        self.begin()

    def __repr__(self) -> str:
        return f"<Output memory={len(self._memory)} file={self._file} region={self._region}>"

    def begin(self) -> None:
        """A new response starts, with no credit for waiting."""
        self.taken = 0  # bytes that the socket took
        self._waited = 0.0  # seconds

    def write(self, parts: list[bytes]) -> None:
        """Send ``parts`` or keep them. Raises ClientDisconnected."""
        if self.pending:
            self.flush()
        if self.pending:
            for part in parts:
                self._keep(memoryview(part))
            return
        if len(parts) == 1:
            data = parts[0]
        elif sum(map(len, parts)) <= JOIN_LIMIT:
            data = b"".join(parts)
        else:
            self._write_gathered(parts)
            return
        sent = self._send(data) if data else 0
        if sent < len(data):
            self._keep(memoryview(data)[sent:])

    def write_file(self, fd: int, offset: int, count: int) -> None:
        """Send ``count`` bytes of a file from ``offset``, after everything else.

        Owns ``fd`` from now on. Nothing may be written behind it but the next response.
        """
        self._region = FileRegion(fd, offset, offset + count)
        self.pending = True
        if count == 0:
            self._close_region()
        self.flush()

    def flush(self) -> None:
        """Give the socket what it takes now. Raises ClientDisconnected, SourceTruncated."""
        limit = self.taken + FLUSH_LIMIT
        while self._memory:
            sent = self._send(self._memory)
            if sent == 0:
                return
            del self._memory[:sent]
        while self._file is not None and self.taken < limit:
            sent = self._send(self._file.peek())
            if sent == 0:
                return
            if self._file.skip(sent):
                self._file.close()
                self._file = None
        while self._file is None and self._region is not None and self.taken < limit:
            sent = self._send_region(self._region)
            if sent == 0:
                return
            if self._region.skip(sent):
                self._close_region()
        self.pending = self._file is not None or self._region is not None

    def close(self) -> None:
        """Forget what is kept and close the files."""
        self.pending = False
        self._memory.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._close_region()

    def _close_region(self) -> None:
        if self._region is not None:
            self._region.close()
            self._region = None

    def _write_gathered(self, parts: list[bytes]) -> None:
        """Send in one call; keep what the socket did not take."""
        try:
            sent = os.writev(self.fd, parts)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientDisconnected(str(error)) from error
        self.taken += sent
        for part in parts:
            if sent < len(part):
                self._keep(memoryview(part)[sent:])
            sent = max(0, sent - len(part))

    def _send(self, data: Bytes) -> int:
        """How many bytes the socket took."""
        try:
            sent = send(self.fd, data)
        except ConnectionError as error:
            raise ClientDisconnected(str(error)) from error
        self.taken += sent
        return sent

    def _send_region(self, region: FileRegion) -> int:
        if region.can_sendfile:
            try:
                sent = os.sendfile(self.fd, region.fd, region.offset, region.step)
            except BlockingIOError:
                return 0
            except OSError as error:
                if error.errno not in _NO_SENDFILE:
                    raise ClientDisconnected(str(error)) from error
                region.can_sendfile = False
            else:
                if sent == 0:
                    raise SourceTruncated(f"the file ends {region.missing} bytes early")
                self.taken += sent
                return sent
        return self._send(region.read())

    # Keeping what the socket did not take

    def _keep(self, rest: memoryview) -> None:
        while rest:
            self.pending = True
            room = self._limits.memory - len(self._memory)
            if self._file is None and room > 0:
                self._memory += rest[:room]
                rest = rest[room:]
            elif self._file is None and self._wait_for_fast_reader():
                self.flush()
            elif (count := self._spill(rest)) > 0:
                rest = rest[count:]
            else:
                self._wait_for_reader()
                self.flush()

    def _wait_for_fast_reader(self) -> bool:
        """Wait as long as the bytes taken so far have bought; whether the socket takes more."""
        credit = self.taken / FAST_READER - self._waited
        if credit < 0.001:  # the resolution of poll()
            return False
        started = time.monotonic()
        is_writable = wait_writable(self.fd, credit)
        self._waited += time.monotonic() - started
        return is_writable

    def _wait_for_reader(self) -> None:
        timeout = self._limits.send_timeout
        while not wait_writable(self.fd, timeout or 60.0):
            if timeout:
                raise ClientDisconnected(f"the client has taken nothing for {timeout:g} s")

    def _spill(self, rest: memoryview) -> int:
        """Put some of ``rest`` into the file; 0 when there is no room on disk."""
        if self._file is None and self._limits.file > 0:
            self._file = self._disk.maybe_open()
        if self._file is None:
            return 0
        try:
            count = self._file.append(rest[: self._limits.file - self._file.end])
        except OSError as error:
            self._disk.failed(error)
            count = 0
        else:
            self._disk.worked()
        if self._file.is_empty:
            self._file.close()
            self._file = None
        return count


class SpoolFile:
    """An unnamed file, written at its end and read from its start."""

    __slots__ = ("_file", "_start", "end")

    def __init__(self, directory: str | None) -> None:
        import tempfile  # half a megabyte, which most workers never need

        self._file: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115 - closed by close()
            buffering=0, dir=directory
        )
        self._start = 0
        self.end = 0  # also the size on disk: what was read is given back when all was

    def __repr__(self) -> str:
        return f"{self._start}..{self.end}"

    @property
    def is_empty(self) -> bool:
        return self._start == self.end

    def append(self, data: memoryview) -> int:
        """How many bytes of ``data`` were written, which may be less than all."""
        count = os.pwrite(self._file.fileno(), data, self.end) if data else 0
        self.end += count
        return count

    def peek(self) -> bytes:
        return os.pread(self._file.fileno(), BLOCK_SIZE, self._start)

    def skip(self, count: int) -> bool:
        """``count`` bytes are gone; whether these were the last."""
        self._start += count
        return self.is_empty

    def close(self) -> None:
        self._file.close()


class FileRegion:
    """A part of an application's file. Owns its descriptor."""

    __slots__ = ("_end", "can_sendfile", "fd", "offset")

    def __init__(self, fd: int, offset: int, end: int) -> None:
        self.fd = fd
        self.offset = offset
        self._end = end
        self.can_sendfile = hasattr(os, "sendfile")

    def __repr__(self) -> str:
        return f"{self.offset}..{self._end}"

    @property
    def missing(self) -> int:
        return self._end - self.offset

    @property
    def step(self) -> int:
        """How many bytes to send at once."""
        return min(self.missing, SENDFILE_SIZE)

    def read(self) -> bytes:
        block = os.pread(self.fd, min(self.missing, BLOCK_SIZE), self.offset)
        if not block:
            raise SourceTruncated(f"the file ends {self.missing} bytes early")
        return block

    def skip(self, count: int) -> bool:
        """``count`` bytes are gone; whether these were the last."""
        self.offset += count
        return self.missing == 0

    def close(self) -> None:
        os.close(self.fd)
