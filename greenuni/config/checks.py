"""What can only be judged of the whole configuration: settings that exclude each other, and paths."""

from __future__ import annotations

import os
from importlib.util import find_spec

from greenuni import build
from greenuni.config.address import UnixAddress
from greenuni.config.settings import Config
from greenuni.errors import ConfigError

STANDARD_STREAM = "-"
LOG_CONFIGURATIONS = ("logconfig", "logconfig_json", "logconfig_dict")


def check_config(config: Config, start: str) -> None:
    """Raise `ConfigError` for the first thing that cannot work. ``start`` is the directory at start."""
    _check_application(config)
    _check_reload(config)
    _check_async_libraries(config)
    _check_http_engine(config)
    _check_log_configuration(config)
    base = _checked_directory(config, "chdir", start) or start
    _checked_directory(config, "app_dir", base)
    _checked_directory(config, "tmp_upload_dir", base)
    _checked_file(config, "logconfig", base)
    _checked_file(config, "logconfig_json", base)
    _check_account(config, "user")
    _check_account(config, "group")


def _check_application(config: Config) -> None:
    if config.wsgi_app is not None and config.mounts:
        raise ConfigError(
            f"{config.wsgi_app!r} ({config.source_of('wsgi_app')}) is one application too many beside "
            f"{config.subject_of('mounts')}: mount it, too, or leave it out"
        )


def _check_reload(config: Config) -> None:
    if config.reload and config.preload_app:
        where = f" in pool {config.pool}" if config.pool else ""
        raise ConfigError(
            f"--reload and --preload exclude each other{where}: it is a worker that waits for the next "
            "save, and there is none while preloaded code is broken"
        )


def _check_async_libraries(config: Config) -> None:
    if config.async_backend == "trio" and config.loop == "uvloop":
        raise ConfigError(
            "--loop uvloop is a loop of asyncio: leave it out with --async-backend trio"
        )
    if config.async_backend == "trio" and find_spec("trio") is None:
        raise ConfigError(
            f"{config.subject_of('async_backend')}: trio is not installed: pip install trio"
        )
    if config.loop == "uvloop" and find_spec("uvloop") is None:
        raise ConfigError(
            f"{config.subject_of('loop')}: uvloop is not installed: pip install uvloop"
        )


def _check_http_engine(config: Config) -> None:
    if config.http_engine == "fast" and not build.compiled():
        raise ConfigError(
            f"{config.subject_of('http_engine')}: fast needs the compiled modules: "
            f"reinstall greenuni {build.WHERE_IT_COMPILES}, or use --http-engine auto"
        )


def _check_log_configuration(config: Config) -> None:
    given = [name for name in LOG_CONFIGURATIONS if getattr(config, name)]
    if len(given) > 1:
        raise ConfigError(f"{given[0]} and {given[1]} both configure the logs: keep one")
    if config.logconfig and config.logconfig.endswith((".yaml", ".yml")):
        raise ConfigError(
            f"{config.subject_of('logconfig')}: YAML is not read: write it as JSON for --log-config-json"
        )


def _checked_directory(config: Config, name: str, base: str) -> str | None:
    """The directory that a setting names, if it is set; a directory must be there and be enterable."""
    value = getattr(config, name)
    if value is None:
        return None
    path = os.path.join(base, value)
    if not os.path.isdir(path):
        raise ConfigError(f"{config.subject_of(name)}: {path!r} is not a directory")
    if not os.access(path, os.R_OK | os.X_OK):
        raise ConfigError(f"{config.subject_of(name)}: {path!r} cannot be entered")
    return path


def _checked_file(config: Config, name: str, base: str) -> None:
    value = getattr(config, name)
    if value is None:
        return
    path = os.path.join(base, value)
    if not os.access(path, os.R_OK):
        raise ConfigError(f"{config.subject_of(name)}: {path!r} cannot be read")


def check_outputs(config: Config, start: str) -> None:
    """Raise `ConfigError` for the first file or socket that this process could not create.

    For ``--check-config``: a start that fails says so by itself, when it opens them.
    """
    base = os.path.join(start, config.chdir or "")
    if config.pidfile is not None:
        _check_parent(config.subject_of("pidfile"), os.path.join(base, config.pidfile))
    for address, owner in config.owners().items():
        if isinstance(address, UnixAddress) and not address.path.startswith("@"):
            _check_parent(
                f"{owner.subject_of('bind')}: {address}", os.path.join(base, address.path)
            )
    for name in ("errorlog", "accesslog"):
        value = getattr(config, name)
        if value is not None and value != STANDARD_STREAM:
            _check_log(config.subject_of(name), os.path.join(base, value))


def _check_log(subject: str, path: str) -> None:
    """A log that is there is appended to, whatever its directory allows."""
    if os.path.isdir(path):
        raise ConfigError(f"{subject}: {path!r} is a directory")
    if not os.path.exists(path):
        _check_parent(subject, path)
    elif not os.access(path, os.W_OK):
        raise ConfigError(f"{subject}: {path!r} cannot be written")


def _check_parent(subject: str, path: str) -> None:
    """A file can be made only in a directory that is there and can be written."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise ConfigError(f"{subject}: there is no directory {directory!r}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(f"{subject}: the directory {directory!r} cannot be written")


def _check_account(config: Config, name: str) -> None:
    """A number need not be in the database; a name must be."""
    value = getattr(config, name)
    if value is None or value.isdigit():
        return
    import grp  # not on Windows, where this module must still say that Windows is not supported
    import pwd

    try:
        pwd.getpwnam(value) if name == "user" else grp.getgrnam(value)
    except KeyError:
        raise ConfigError(f"{config.subject_of(name)}: there is no {name} {value!r}") from None
