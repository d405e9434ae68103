"""Where a request body waits until it is whole: memory first, then a temporary file.

The application is called when the last byte is there, so a client that sends slowly costs a file
descriptor and not a thread. What comes out is ``wsgi.input``: an ordinary file object, so that
``read``, ``readline`` and the rest behave as everywhere in Python.
"""

from __future__ import annotations

import io
from typing import IO


class SpoolError(Exception):
    """The temporary file cannot be made or written. Its message is for the log."""


class RequestBody:
    """One request body.

    ``memory_limit`` bytes are kept in memory; when there is one more, all of it moves into an
    unnamed file in ``directory`` (None: the system's own choice).
    """

    __slots__ = ("_directory", "_file", "_memory_limit", "in_memory", "size")

    def __init__(self, memory_limit: int, directory: str | None) -> None:
        self._memory_limit = memory_limit
        self._directory = directory
        self._file: IO[bytes] = io.BytesIO()
        self.in_memory = True
        self.size = 0

    def __repr__(self) -> str:
        return f"<RequestBody {self.size} bytes in {'memory' if self.in_memory else 'a file'}>"

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises SpoolError."""
        self.size += len(data)
        try:
            if self.in_memory and self.size > self._memory_limit:
                self._move_to_file()
            self._file.write(data)
        except OSError as error:
            raise self._error(error) from error

    def _move_to_file(self) -> None:
        import tempfile  # half a megabyte, which most workers never need

        # Not tempfile.SpooledTemporaryFile: before 3.11 it lacks parts of the file interface, and
        # its fileno() writes the file that nobody asked for.
        file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - it outlives this call
        try:
            file.write(self._file.getbuffer())  # type: ignore[attr-defined]
        except OSError:
            file.close()
            raise
        self._file = file
        self.in_memory = False

    def open(self) -> IO[bytes]:
        """The whole body, from its start. Raises SpoolError when the rest cannot be written."""
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._error(error) from error
        return self._file

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # what could not be written is not wanted any more

    def _error(self, error: OSError) -> SpoolError:
        where = f" into {self._directory}" if self._directory else ""
        return SpoolError(
            f"cannot spool a request body{where}: {error.strerror or error}; "
            "set tmp_upload_dir to a directory with room that this user may write to"
        )
