"""``WEB_CONCURRENCY``, ``FORWARDED_ALLOW_IPS``, ``GREENUNI_CMD_ARGS`` and variables that are not read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni.config import Config
from greenuni.errors import ConfigError

Read = Callable[..., Config]


def test_web_concurrency(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text("workers = 2")
    config = read(environ={"WEB_CONCURRENCY": "5"})
    assert config.workers == 5
    assert config.source_of("workers") == "environment WEB_CONCURRENCY"
    assert read("-w", "3", environ={"WEB_CONCURRENCY": "5"}).workers == 3
    both = {"WEB_CONCURRENCY": "5", "GREENUNI_CMD_ARGS": "-w 4"}
    assert read(environ=both).source_of("workers") == "GREENUNI_CMD_ARGS -w"


def test_empty_number_is_not_set(read: Read) -> None:
    assert read(environ={"WEB_CONCURRENCY": "", "PORT": " "}).sources == {}


def test_bad_variable_is_named(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"^environment variable WEB_CONCURRENCY: 'all' is not"):
        read(environ={"WEB_CONCURRENCY": "all"})


def test_forwarded_allow_ips_may_be_empty(read: Read) -> None:
    assert read(environ={"FORWARDED_ALLOW_IPS": "10.0.0.1"}).forwarded_allow_ips == "10.0.0.1"
    assert read(environ={"FORWARDED_ALLOW_IPS": ""}).forwarded_allow_ips == ""


def test_arguments_are_split_as_a_shell_would(read: Read) -> None:
    config = read(environ={"GREENUNI_CMD_ARGS": "-w 3 --access-logformat '%(h)s %(s)s' main:app"})
    assert config.access_log_format == "%(h)s %(s)s"
    assert config.wsgi_app == "main:app"
    with pytest.raises(ConfigError, match="GREENUNI_CMD_ARGS: No closing quotation"):
        read(environ={"GREENUNI_CMD_ARGS": "-w '3"})


def test_gunicorns_variable_is_noted_unless_it_was_renamed(read: Read) -> None:
    gunicorn = {"GUNICORN_CMD_ARGS": "-w 3"}
    config = read(environ=gunicorn)
    assert config.workers == 1
    assert config.notes == ("GUNICORN_CMD_ARGS is not read: rename it to GREENUNI_CMD_ARGS",)
    assert read(environ={**gunicorn, "GREENUNI_CMD_ARGS": "-w 3"}).notes == ()


def test_variable_that_looks_like_a_setting_is_noted(read: Read) -> None:
    config = read(environ={"GREENUNI_LOG_LEVEL": "debug", "GREENUNI_HOME": "/"})
    assert config.loglevel == "info"
    assert config.notes == (
        "GREENUNI_LOG_LEVEL is not read: set GREENUNI_CMD_ARGS='--log-level ...'",
    )
