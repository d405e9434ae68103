"""``--reload``: notices that a file which the application was loaded from has been saved.

The times of imported modules' files are compared twice a second. That is a few hundred ``stat`` calls, well
under one per cent of a processor; libraries that wait for the kernel's notices would bring asyncio into
WSGI workers. Modules of the standard library are left out.

A worker that could not boot also watches the files of its traceback and what files there are beside them: the
module that was missing may be created.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

from greenuni.threadsignals import leave_signals_to_main_thread

CHECK_INTERVAL = 0.5  # seconds
_STANDARD_LIBRARY = tuple(
    {os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")}
)
_PACKAGES = ("site-packages", "dist-packages")
_TRACEBACK_FILE = re.compile(r'^\s*File "([^"<>]+)", line', re.MULTILINE)


class Changes:
    """Calls ``report`` with the path of each change, in a thread of its own.

    ``extra`` are files to watch that are not modules: the configuration.
    """

    def __init__(self, report: Callable[[str], None], extra: Iterable[str] = ()) -> None:
        self._report = report
        self._extra = set(extra)
        self._times: dict[str, int] = {}  # file -> modification time in ns when first seen
        self._names: dict[str, set[str]] = {}  # directory -> names of modules in it
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="greenuni-reload", daemon=True)

    def start(self) -> None:
        """Begin to watch; the files of modules that are imported later are taken in as they come."""
        self._thread.start()

    def watch_failure(self, details: str) -> None:
        """Watch also what the traceback ``details`` names, and new modules beside it."""
        files = set(_TRACEBACK_FILE.findall(details))
        directories = {os.path.dirname(os.path.abspath(file)) for file in files} | {os.getcwd()}
        with self._lock:
            self._names = {
                directory: _module_names(directory)
                for directory in directories
                if _is_users(directory)
            }
            self._extra |= files
        self.check()

    def _watch(self) -> None:
        leave_signals_to_main_thread()
        pause = threading.Event()
        while True:
            self.check()
            pause.wait(CHECK_INTERVAL)

    def check(self) -> None:
        """Report what has changed since this was last called, and take in what is new."""
        with self._lock:
            found = self.find()
        for path in found:
            self._report(path)

    def find(self) -> list[str]:
        """The paths that have changed since the last call."""
        found = [path for path in [*module_files(), *self._extra] if self._has_changed(path)]
        for directory, known in self._names.items():
            names = _module_names(directory)
            found += [os.path.join(directory, name) for name in sorted(names - known)]
            self._names[directory] = names
        return found

    def _has_changed(self, path: str) -> bool:
        try:
            time = os.stat(path).st_mtime_ns
        except OSError:  # an editor is replacing it: it will be back
            return False
        before = self._times.setdefault(path, time)
        self._times[path] = time
        return time != before

    def __repr__(self) -> str:
        return f"<Changes of {len(self._times)} files>"


def module_files() -> Iterator[str]:
    """The source files of the imported modules, without those of the standard library."""
    for module in list(sys.modules.values()):
        # Not by getattr: a lazy module would be loaded by it.
        file = module.__dict__.get("__file__") if isinstance(module, ModuleType) else None
        if isinstance(file, str) and _is_users(file):
            yield file


def _is_users(path: str) -> bool:
    is_standard = path.startswith(_STANDARD_LIBRARY)
    return not is_standard or any(f"{os.sep}{name}{os.sep}" in path for name in _PACKAGES)


def _module_names(directory: str) -> set[str]:
    """Names in a directory that could be imported."""
    try:
        with os.scandir(directory) as entries:
            return {
                entry.name
                for entry in entries
                if entry.name.endswith(".py") or (entry.is_dir() and entry.name.isidentifier())
            } - {"__pycache__"}
    except OSError:
        return set()
