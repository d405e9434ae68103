"""The pid file, written only when it was asked for."""

from __future__ import annotations

import contextlib
import os
import tempfile

from greenuni.errors import ConfigError, GreenuniError


class PidFile:
    """Holds the arbiter's pid in a file for as long as it runs."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)  # the working directory may change

    def write(self) -> None:
        """Write our pid, whole or not at all.

        Raises ``GreenuniError`` when the file names another process that runs, ``ConfigError`` when
        it cannot be written.
        """
        other = self._read()
        if other and other != os.getpid() and _is_running(other):
            raise GreenuniError(f"{self._path} says that process {other} is this server already")
        try:
            descriptor, draft = tempfile.mkstemp(dir=os.path.dirname(self._path))
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            os.chmod(draft, 0o644)
            os.replace(draft, self._path)
        except OSError as error:
            raise ConfigError(
                f"cannot write the pid file {self._path}: {error.strerror}"
            ) from error

    def remove(self) -> None:
        """Remove the file if it is still ours."""
        if self._read() == os.getpid():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def _read(self) -> int | None:
        try:
            with open(self._path, encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def __repr__(self) -> str:
        return f"<PidFile {self._path}>"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
