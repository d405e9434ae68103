"""Where the two logs go: ``greenuni.error`` and ``greenuni.access``.

The root logger gets no handler and existing loggers are left as they are: they are the application's.
"""

from __future__ import annotations

import grp
import logging
import os
import pwd
import sys
from typing import TYPE_CHECKING, Any

from greenuni.config import Config
from greenuni.errors import ConfigError
from greenuni.observe.access import AccessLog

ERROR_FORMAT = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
DATE_FORMAT = "[%Y-%m-%d %H:%M:%S %z]"
STANDARD_STREAM = "-"
SAME_OWNER = (-1, -1)  # as chown takes it


class Logs:
    """Both logs, opened from a configuration. Raises ConfigError when a file or format is unusable.

    ``error`` is a logger; ``access`` is None when nobody listens to the access log, so that a
    request then pays nothing for it.
    """

    def __init__(self, config: Config) -> None:
        self.error = logging.getLogger("greenuni.error")
        self.access: AccessLog | None = None
        self._files: list[_ReopenableFile] = []
        self._config = config
        self._own_handler: logging.Handler | None = (
            None  # of the error log, unless the user has one
        )
        self._open()

    def _open(self) -> None:
        config = self._config
        self.error.setLevel(config.loglevel.upper())
        access_logger = logging.getLogger("greenuni.access")
        access_logger.setLevel(logging.INFO)
        for logger in (self.error, access_logger):
            _remove_handlers(logger)
        if config.logconfig_dict or config.logconfig_json or config.logconfig:
            # Seldom asked for, and nearly a megabyte in every process: logging.config imports pickle,
            # queue and socketserver.
            from greenuni.observe.logging_config import configure_logging

            configure_logging(config)
            for logger in (self.error, access_logger):
                logger.propagate = not logger.handlers
        else:
            self.error.propagate = access_logger.propagate = False
        if not self.error.hasHandlers():
            formatter = logging.Formatter(ERROR_FORMAT, DATE_FORMAT)
            self._own_handler = self._attach(self.error, config.errorlog, sys.stderr, formatter)
        if config.accesslog is not None:
            formatter = logging.Formatter("%(message)s")
            self._attach(access_logger, config.accesslog, sys.stdout, formatter)
        if access_logger.hasHandlers():
            self.access = AccessLog(config.access_log_format, access_logger)
        if config.capture_output:
            self._capture_output()

    def _attach(
        self, logger: logging.Logger, target: str, stream: Any, formatter: logging.Formatter
    ) -> logging.Handler:
        handler: logging.Handler
        if target == STANDARD_STREAM:
            handler = logging.StreamHandler(stream)
        else:
            handler = _ReopenableFile(target, self._config)
            self._files.append(handler)
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        return handler

    def name_pool(self, pool: str) -> None:
        """From now on this process speaks for one of several pools: its lines in the error log say so.

        A handler of the user's own configuration is left as it is.
        """
        if self._own_handler is not None:
            named = ERROR_FORMAT.replace("%(message)s", f"[{pool}] %(message)s")
            self._own_handler.setFormatter(logging.Formatter(named, DATE_FORMAT))

    @property
    def error_fileno(self) -> int:
        """The descriptor that a stack dump is written to: the error log's file, or standard error."""
        for handler in self.error.handlers:
            if isinstance(handler, _ReopenableFile):
                return handler.fileno()
        return 2

    def reopen(self) -> None:
        """Open the log files anew by name, after a rotation (USR1)."""
        for handler in self._files:
            handler.reopen()
        if self._config.capture_output:
            self._capture_output()

    def close(self) -> None:
        """Flush and close our handlers. The loggers can be opened again by another ``Logs``."""
        for name in ("greenuni.error", "greenuni.access"):
            _remove_handlers(logging.getLogger(name))
        self._files.clear()

    def _capture_output(self) -> None:
        """Send what the application prints to the error log's file (gunicorn's capture_output)."""
        fileno = self.error_fileno
        if fileno == 2:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(fileno, 1)
        os.dup2(fileno, 2)


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[Any]
else:
    _StreamHandler = logging.StreamHandler  # cannot be subscribed on Python 3.10


class _ReopenableFile(_StreamHandler):
    """A log file that can be opened anew by name, and that its worker's user may write to."""

    def __init__(self, path: str, config: Config) -> None:
        # The absolute path: a later --chdir must not move the log.
        self._path = os.path.abspath(path)
        self._owner = (_user_id(config.user), _group_id(config.group))
        super().__init__(self._open_file())

    def _open_file(self) -> Any:
        try:
            # It stays open for as long as the handler does.
            stream = open(self._path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
            if self._owner != SAME_OWNER and os.geteuid() == 0:
                os.fchown(stream.fileno(), *self._owner)  # the workers reopen it as that user
            return stream
        except OSError as error:
            raise ConfigError(
                f"cannot write the log file {self._path}: {error.strerror}"
            ) from error

    def fileno(self) -> int:
        return int(self.stream.fileno())

    def reopen(self) -> None:
        """Swap to a new file of the same name; the old one stays in use if that fails."""
        try:
            fresh = self._open_file()
        except ConfigError as error:
            logging.getLogger("greenuni.error").error("%s; the old file stays in use", error)
            return
        old = self.setStream(fresh)
        if old is not None:
            old.close()

    def close(self) -> None:
        self.flush()
        self.stream.close()
        super().close()


def _user_id(user: str | None) -> int:
    if user is None:
        return -1
    return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid


def _group_id(group: str | None) -> int:
    if group is None:
        return -1
    return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid


def _remove_handlers(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()  # leaves standard error and standard output open
