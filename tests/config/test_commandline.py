"""How the command line is read: spellings, values, flags that nobody knows and those of other servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from greenuni.config import SETTINGS, Config
from greenuni.config.commandline import FLAGS, OWN_FLAGS
from greenuni.errors import ConfigError

Read = Callable[..., Config]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--worker 3", "--worker is not an option of Greenuni: did you mean --workers?"),
        ("--worke=3", "--worke is not an option of Greenuni: did you mean --workers?"),
        ("--treads 3", "--treads is not an option of Greenuni: did you mean --threads?"),
        ("-x", "-x is not an option of Greenuni: greenuni --help shows all"),
        ("--zzzz", "--zzzz is not an option of Greenuni: greenuni --help shows all"),
        ("--workers", "--workers needs a value"),
        ("--workers --reload", "--workers needs a value"),
        ("a:app -w -x", "-w needs a value"),
        ("--workers --", "--workers needs a value"),
        ("--max-requests -1", "--max-requests: -1 is less than 0"),
        ("--max-requests -.5", "--max-requests: '-.5' is not a whole number"),
        ("--workers=", "--workers: '' is not a whole number"),
        ("--reload=yes", "--reload takes no value: leave out 'yes'"),
        ("--reload=", "--reload takes no value: leave out ''"),
        ("a:app b:app", "'b:app' is one argument too many"),
        ("-w 2 a:app --reload b:app", "'b:app' is one argument too many"),
        ("a:app -- b:app", "'b:app' is one argument too many"),
    ],
)
def test_refused_in_one_sentence(arguments: str, sentence: str, read: Read) -> None:
    with pytest.raises(ConfigError) as refused:
        read(*arguments.split())
    assert sentence in str(refused.value)
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("arguments", ["--worker 3", "--keyfile x", "--workers many", "a b"])
def test_variable_is_named_when_it_holds_the_mistake(arguments: str, read: Read) -> None:
    with pytest.raises(ConfigError, match="in GREENUNI_CMD_ARGS"):
        read(environ={"GREENUNI_CMD_ARGS": arguments})


def test_no_flag_is_abbreviated(read: Read) -> None:
    with pytest.raises(ConfigError, match="did you mean --graceful-timeout"):
        read("--graceful", "3")


@pytest.mark.parametrize(
    "arguments",
    [
        "main:app -w 2 --reload",
        "-w 2 main:app --reload",
        "-w2 --reload main:app",
        "-w=2 --reload main:app",
        "--workers=2 --reload -- main:app",
    ],
)
def test_application_stands_anywhere(arguments: str, read: Read) -> None:
    config = read(*arguments.split())
    assert (config.wsgi_app, config.workers, config.reload) == ("main:app", 2, True)


def test_last_of_a_repeated_flag_counts(read: Read) -> None:
    assert read("-w", "2", "--workers", "3").workers == 3
    assert read("--reload", "--no-reload").reload is False


def test_repeatable_flags_add_up(read: Read) -> None:
    assert read("-e", "A=1", "--env", "B=x=y, z").raw_env == ("A=1", "B=x=y, z")


def test_values_may_look_like_anything(read: Read) -> None:
    config = read("--access-logfile", "-", "--access-logformat", "-%(h)s %(m)s", "-e", "A=--x")
    assert config.accesslog == "-"
    assert config.access_log_format == "-%(h)s %(m)s"
    assert config.raw_env == ("A=--x",)


def test_source_is_the_spelling_that_was_used(read: Read) -> None:
    assert read("-w", "2").source_of("workers") == "command line -w"
    assert read().source_of("workers") == "default"


@pytest.mark.parametrize(
    "arguments",
    [
        "main:app --proxy-headers --host 0.0.0.0 --port 80",  # FastAPI's Dockerfile
        "main:app --no-use-colors --http h11 --ws auto --server-header",
        "main:app --no-control-socket -R --reload-engine auto",
        "main:app --respawn-failed-workers --log --http=1",
        "-k uvicorn.workers.UvicornWorker -w 4 --timeout 120 main:app",
        "--workers 4 --limit-max-requests 1000 --limit-max-requests-jitter 50 main:app",
    ],
)
def test_everyday_commands_of_other_servers_work(arguments: str, read: Read) -> None:
    assert read(*arguments.split()).wsgi_app == "main:app"


def test_needless_flag_gets_a_note(read: Read) -> None:
    config = read("--worker-tmp-dir", "/dev/shm", "main:app")
    assert config.wsgi_app == "main:app"
    assert config.notes == (
        "--worker-tmp-dir has no use here: workers beat in shared memory, not in a file",
    )


def test_unsupported_flag_says_what_to_use(read: Read) -> None:
    with pytest.raises(ConfigError) as refused:
        read("main:app", "--ssl-keyfile", "key.pem")
    assert str(refused.value) == (
        "--ssl-keyfile (uvicorn, granian) is not supported: "
        "let a proxy such as nginx, Caddy or HAProxy terminate TLS"
    )


def test_spellings_are_unique() -> None:
    spellings = [flag for setting in SETTINGS.values() for flag in setting.flags]
    spellings += [flag for setting in SETTINGS.values() for flag in setting.off_flags]
    spellings += [alias.flag for setting in SETTINGS.values() for alias in setting.aliases]
    assert len(spellings) == len(set(spellings)) == len(FLAGS)
    assert not set(OWN_FLAGS) & set(FLAGS)


def test_help_shows_every_setting_with_default_and_unit() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "greenuni", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout
    for setting in SETTINGS.values():
        flags = setting.off_flags if setting.default is True else setting.flags
        assert all(flag in shown for flag in flags)
    assert "(default: 75 s)" in shown
    assert "(default: 500 bytes a second)" in shown
    assert "(default: 1, $WEB_CONCURRENCY)" in shown
    assert "--timeout-keep-alive" not in shown
