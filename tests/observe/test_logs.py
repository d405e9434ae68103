"""Where the logs go, and that nothing of the application's logging is touched."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenuni.config import Config
from greenuni.errors import ConfigError
from greenuni.observe import Logs

from .test_access import EXCHANGE


@pytest.fixture(autouse=True)
def restore_loggers() -> Iterator[None]:
    yield
    Logs(Config()).close()


def logs_with(**settings: Any) -> Logs:
    return Logs(Config(**settings))


def test_error_log_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    logs_with().error.info("Listening")
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("[INFO] Listening\n")


def test_level_is_obeyed(capfd: pytest.CaptureFixture[str]) -> None:
    logs = logs_with(loglevel="warning")
    logs.error.info("quiet")
    logs.error.warning("loud")
    assert "quiet" not in (err := capfd.readouterr().err)
    assert "loud" in err


def test_access_log_is_off_by_default_and_costs_nothing() -> None:
    assert logs_with().access is None


def test_access_log_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    logs = logs_with(accesslog="-", access_log_format="%(m)s %(s)s")
    assert logs.access is not None
    logs.access.write(EXCHANGE)
    assert capfd.readouterr().out == "GET 200\n"


def test_root_logger_is_left_alone() -> None:
    before = list(logging.getLogger().handlers)
    logs_with(accesslog="-")
    assert logging.getLogger().handlers == before


def test_reopening_follows_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    logs = logs_with(errorlog=str(path))
    logs.error.info("first")
    path.rename(tmp_path / "error.log.1")
    logs.reopen()
    logs.error.info("second")
    assert "first" in (tmp_path / "error.log.1").read_text()
    assert "second" in path.read_text()
    assert "first" not in path.read_text()


def test_the_path_does_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    logs = logs_with(errorlog="error.log")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    logs.reopen()
    logs.error.info("here")
    assert "here" in (tmp_path / "error.log").read_text()


def test_an_unwritable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write the log file .*No such file"):
        logs_with(errorlog=str(tmp_path / "missing" / "error.log"))


def test_opening_twice_writes_once(capfd: pytest.CaptureFixture[str]) -> None:
    logs_with()
    logs_with().error.info("once")
    assert capfd.readouterr().err.count("once") == 1


def dict_config(path: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "formatters": {"bare": {"format": "custom %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "bare"}
        },
        "loggers": {
            "greenuni.error": {"handlers": ["file"], "level": "INFO"},
            "greenuni.access": {"handlers": ["file"], "level": "INFO"},
        },
    }


@pytest.mark.parametrize("source", ["logconfig_dict", "logconfig_json"])
def test_a_dict_configuration_takes_over(source: str, tmp_path: Path) -> None:
    path = tmp_path / "all.log"
    settings = dict_config(path)
    bystander = logging.getLogger("bystander")
    if source == "logconfig_json":
        (tmp_path / "log.json").write_text(json.dumps(settings))
        logs = logs_with(logconfig_json=str(tmp_path / "log.json"), access_log_format="%(m)s")
    else:
        logs = logs_with(logconfig_dict=settings, access_log_format="%(m)s")
    logs.error.info("told")
    assert logs.access is not None
    logs.access.write(EXCHANGE)
    logs.close()
    assert path.read_text() == "custom told\ncustom GET\n"
    assert not bystander.disabled


def test_an_ini_configuration_takes_over(tmp_path: Path) -> None:
    log = tmp_path / "ini.log"
    ini = tmp_path / "logging.ini"
    ini.write_text(
        "[loggers]\nkeys=root,error\n[handlers]\nkeys=file\n[formatters]\nkeys=bare\n"
        "[logger_root]\nhandlers=\n[logger_error]\nqualname=greenuni.error\nhandlers=file\n"
        f"[handler_file]\nclass=FileHandler\nformatter=bare\nargs=({str(log)!r},)\n"
        "[formatter_bare]\nformat=ini %(message)s\n"
    )
    logs = logs_with(logconfig=str(ini))
    logs.error.info("told")
    logs.close()
    assert log.read_text() == "ini told\n"


@pytest.mark.parametrize("setting", ["logconfig", "logconfig_json"])
def test_an_unusable_configuration_is_one_sentence(setting: str, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    with pytest.raises(ConfigError, match=r"the logging configuration .* cannot be used"):
        logs_with(**{setting: str(path)})
    path.write_text("not a configuration")
    with pytest.raises(ConfigError, match=r"the logging configuration .* cannot be used"):
        logs_with(**{setting: str(path)})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_workers_user_owns_the_file_also_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    logs = logs_with(errorlog=str(path), user="65534", group="65534")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    path.rename(tmp_path / "error.log.1")
    logs.reopen()
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
