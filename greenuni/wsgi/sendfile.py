"""``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling")."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

BLOCK_SIZE = 64 * 1024


class FileWrapper:
    """An iterable over the blocks of a file-like object, and a mark that it is one."""

    def __init__(self, file: Any, block_size: int = BLOCK_SIZE) -> None:
        self.file = file
        self.block_size = block_size
        if hasattr(file, "close"):
            self.close = file.close

    def __repr__(self) -> str:
        return f"<FileWrapper {self.file!r}>"

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.file.read(self.block_size)
        if not block:
            raise StopIteration
        return block


class FileSpan(NamedTuple):
    """What is left to read of a regular file."""

    fd: int
    offset: int
    size: int


def maybe_span(wrapper: FileWrapper) -> FileSpan | None:
    """Where the bytes that ``wrapper`` would read lie on disk; None when they may not lie there.

    Only Python's own file objects: others have a ``fileno()``, too, and read something else than
    what stands in that file (gzip, say).
    """
    import tempfile  # half a megabyte, which most workers never need

    file = wrapper.file
    if isinstance(file, tempfile._TemporaryFileWrapper):
        file = file.file
    if type(file) not in (io.BufferedReader, io.BufferedRandom, io.FileIO):
        return None
    if type(file) is not io.FileIO and type(file.raw) is not io.FileIO:
        return None
    try:
        offset = file.tell()
        file.flush()
        status = os.fstat(file.fileno())
    except (OSError, ValueError):  # ValueError: closed; reading it will tell the application
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileSpan(file.fileno(), offset, max(0, status.st_size - offset))
