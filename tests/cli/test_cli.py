"""The command as users meet it: a process, its output and its exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import greenuni
from greenuni import build
from tests.support.server import serve

WSGI = """
WORDS = "a b"
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
ASGI = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""


@dataclass(frozen=True)
class Outcome:
    status: int
    output: str
    errors: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """``command("--version")`` runs the program in ``tmp_path``, with ``wsgi.py`` and ``asgi.py`` there."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    (tmp_path / "asgi.py").write_text(ASGI)

    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}

    def run(*arguments: str, **environ: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "greenuni", *arguments],
            cwd=tmp_path,
            env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **environ},
            capture_output=True,
            text=True,
            timeout=20,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def test_version(command: Command) -> None:
    for flag in ("--version", "-v"):
        assert command(flag) == Outcome(0, f"{build.summary()}\n", "")


def test_help(command: Command) -> None:
    shown = command("--help")
    assert (shown.status, shown.errors) == (0, "")
    assert shown.output.startswith("usage: greenuni [options] module:attribute\n")


def test_no_application(command: Command) -> None:
    assert command() == Outcome(
        2,
        "",
        "usage: greenuni [options] module:attribute\n"
        "greenuni: error: no application: name one, such as main:app\n",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("wsgi:app --worker 3", "--worker is not an option of Greenuni: did you mean --workers?"),
        (
            "wsgi:app -w many",
            "-w: 'many' is not a whole number; write a number from 1 on, or \"auto\"",
        ),
        (
            "wsgi:app --check-config -w 0",
            '-w: 0 is less than 1; write a number from 1 on, or "auto"',
        ),
        ("wsgi:app -c missing.py", "--config: there is no file 'missing.py' in '{here}'"),
        ("--print-config --chdir missing", "'{here}/missing' is not a directory"),
    ],
)
def test_mistake_is_one_sentence_and_status_2(
    arguments: str, sentence: str, command: Command, tmp_path: Path
) -> None:
    outcome = command(*arguments.split())
    assert (outcome.status, outcome.output) == (2, "")
    assert outcome.errors.startswith("greenuni: error: ")
    assert outcome.errors.endswith(sentence.format(here=tmp_path) + "\n")
    assert outcome.errors.count("\n") == 1


def test_error_in_configuration_file_shows_its_traceback_only(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "greenuni.conf.py").write_text(
        "def count():\n    return 1 / 0\n\nworkers = count()\n"
    )
    outcome = command("wsgi:app")
    assert outcome.status == 2
    assert outcome.errors.startswith("Traceback (most recent call last):\n")
    assert "line 4, in <module>" in outcome.errors
    assert "line 2, in count" in outcome.errors
    assert outcome.errors.endswith(
        "greenuni: error: greenuni.conf.py raised ZeroDivisionError: division by zero\n"
    )
    assert os.path.dirname(greenuni.__file__) not in outcome.errors


def test_print_config(command: Command, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text("timeout = 5")
    outcome = command("--print-config", "-w", "3", PORT="5000", GUNICORN_CMD_ARGS="-w 9")
    assert outcome.status == 0
    rows = {line.split()[0]: line.split()[1:] for line in outcome.output.splitlines() if line}
    assert rows["workers"] == ["3", "command", "line", "-w"]
    assert rows["timeout"] == ["5", "s", "greenuni.toml"]
    assert rows["bind"] == ["0.0.0.0:5000", "environment", "PORT"]
    assert rows["backlog"] == ["2048", "default"]
    assert outcome.errors == (
        "greenuni: note: GUNICORN_CMD_ARGS is not read: rename it to GREENUNI_CMD_ARGS\n"
    )


@pytest.mark.parametrize(
    ("module", "words"), [("wsgi", "is WSGI (function)"), ("asgi", "is ASGI (async function)")]
)
def test_check_config_says_what_it_found(module: str, words: str, command: Command) -> None:
    outcome = command("--check-config", f"{module}:app", "-w", "2", "--port", "5000")
    assert (outcome.status, outcome.errors) == (0, "")
    assert outcome.output.splitlines() == [
        "configuration:",
        f"  wsgi_app = {module}:app (command line APP)",
        "  bind = 127.0.0.1:5000 (command line --port)",
        "  port = 5000 (command line --port)",
        "  workers = 2 (command line -w)",
        f"application: {module}:app {words}",
        "2 workers would serve it on 127.0.0.1:5000",
    ]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            "wsgi:app -k asgi",
            [
                "application: wsgi:app is WSGI (function), through the adapter",
                "1 worker would serve it",
            ],
        ),
        (
            "asgi:app -k uvicorn.workers.UvicornWorker",
            ["application: asgi:app is ASGI (async function)", "1 worker would serve it"],
        ),
        (
            "--mount x.example/=asgi:app --mount /=wsgi:app",
            [
                "application: asgi:app at x.example/ is ASGI (async function)",
                "application: wsgi:app at / is WSGI (function), through the adapter",
                "1 worker would serve them",
            ],
        ),
    ],
)
def test_check_config_says_what_needs_an_adapter(
    arguments: str, lines: list[str], command: Command
) -> None:
    outcome = command("--check-config", *arguments.split())
    assert (outcome.status, outcome.errors) == (0, "")
    found = outcome.output.splitlines()[-len(lines) :]
    assert [*found[:-1], found[-1].partition(" on ")[0]] == lines


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        ("wsgi:app --lifespan on", 2, "--lifespan (command line --lifespan) applies to ASGI"),
        ("asgi:app --threads 4", 2, "--threads (command line --threads) applies to WSGI"),
        (
            "asgi:app -k asgi --spool-memory 1",
            2,
            "--spool-memory (command line --spool-memory) applies",
        ),
        ("wsgi:WORDS", 2, "wsgi_app (command line APP): 'wsgi:WORDS' is not an application: a str"),
        (
            "--mount /=wsgi:WORDS",
            2,
            "mount /: --mount (command line --mount): 'wsgi:WORDS' is not an",
        ),
        (
            "--mount /a=wsgi:app --mount /=wsgi:ap",
            3,
            "mount /: module 'wsgi' has no attribute 'ap'",
        ),
        (
            "--mount /a=wsgi:app --mount /a=asgi:app",
            2,
            "two applications are mounted at /a: wsgi:app and",
        ),
        (
            "--mount a=wsgi:app",
            2,
            "--mount: 'a' is not a mount: write a path with its slash in front",
        ),
        (
            "wsgi:app --mount /a=asgi:app",
            2,
            "'wsgi:app' (command line APP) is one application too many",
        ),
        ("wsgi:app --interface asgi", 2, "--interface asgi does not fit 'wsgi:app'"),
        ("wsgi:ap", 3, "module 'wsgi' has no attribute 'ap': did you mean 'app'?"),
        ("wsgy:app", 3, "did you mean 'wsgi'?"),
    ],
)
def test_check_config_tells_mistakes_apart(
    arguments: str, status: int, sentence: str, command: Command
) -> None:
    outcome = command("--check-config", *arguments.split())
    assert outcome.status == status
    assert sentence in outcome.errors
    assert outcome.errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--pid gone/pid", "--pid (command line --pid): there is no directory '{here}/gone'"),
        ("-b unix:gone/s", "unix:gone/s: there is no directory '{here}/gone'"),
        ("--log-file gone/log", "--error-logfile (command line --log-file): there is no directory"),
        ("--access-logfile site", "'{here}/site' is a directory"),
        ("--chdir site --app-dir .. --pid gone/pid", "there is no directory '{here}/site/gone'"),
    ],
)
def test_check_config_tries_what_would_be_created(
    arguments: str, sentence: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    outcome = command("--check-config", "wsgi:app", *arguments.split())
    assert (outcome.status, outcome.output) == (2, "")
    assert sentence.format(here=tmp_path) in outcome.errors


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
@pytest.mark.parametrize("flag", ["--pid", "--access-logfile", "--uds"])
def test_check_config_finds_a_directory_without_permission(
    flag: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "closed").mkdir(0o555)
    outcome = command("--check-config", "wsgi:app", flag, "closed/file")
    assert outcome.status == 2
    assert f"the directory '{tmp_path}/closed' cannot be written" in outcome.errors


def test_check_config_lets_good_outputs_pass(command: Command) -> None:
    flags = "--pid pid -b unix:sock -b unix:@name --log-file - --access-logfile /dev/null"
    assert command("--check-config", "wsgi:app", *flags.split()).status == 0


def test_check_config_shows_the_applications_traceback(command: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import os\n1 / 0\n")
    outcome = command("--check-config", "broken:app")
    assert outcome.status == 3
    assert outcome.errors.startswith("Traceback (most recent call last):\n")
    assert f'File "{tmp_path}/broken.py", line 2, in <module>' in outcome.errors
    assert os.path.dirname(greenuni.__file__) not in outcome.errors
    assert "importlib" not in outcome.errors


def test_check_config_loads_as_a_worker_would(command: Command, tmp_path: Path) -> None:
    (tmp_path / "site" / "src").mkdir(parents=True)
    (tmp_path / "site" / "src" / "main.py").write_text(
        "import os, helper\nassert os.environ['MODE'] == 'x'\n" + WSGI
    )
    (tmp_path / "site" / "helper.py").touch()
    flags = ("--chdir", "site", "--app-dir", "src", "-e", "MODE=x")
    assert command("--check-config", "main", *flags).status == 0


POOLS = """
keepalive = 5
[pools.site]
app = "wsgi:app"
workers = 2
[pools.api]
app = "{api}"
mount = "/api"
bind = "127.0.0.1:9000"
{more}
"""


def test_check_config_loads_the_application_of_each_pool(command: Command, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text(POOLS.format(api="asgi:app", more=""))
    outcome = command("--check-config")
    assert (outcome.status, outcome.errors) == (0, "")
    assert outcome.output.splitlines() == [
        "configuration:",
        "  keepalive = 5 s (greenuni.toml)",
        f"  config = {tmp_path}/greenuni.toml (current directory)",
        "pool site:",
        "  wsgi_app = wsgi:app (greenuni.toml pools.site)",
        "  workers = 2 (greenuni.toml pools.site)",
        "application: wsgi:app at / is WSGI (function)",
        "2 workers would serve it on 127.0.0.1:8000",
        "pool api:",
        "  wsgi_app = asgi:app (greenuni.toml pools.api)",
        "  mount = /api (greenuni.toml pools.api)",
        "  bind = 127.0.0.1:8000, 127.0.0.1:9000 (greenuni.toml pools.api)",
        "application: asgi:app at /api is ASGI (async function)",
        "1 worker would serve it on 127.0.0.1:8000, 127.0.0.1:9000",
    ]


@pytest.mark.parametrize(
    ("api", "more", "status", "sentence"),
    [
        ("asgy:app", "", 3, "there is no module 'asgy'"),
        ("asgi:app", "threads = 2", 2, "--threads (greenuni.toml pools.api) applies to WSGI"),
        (
            "asgi:app",
            "wokers = 2",
            2,
            "pools.api.wokers in greenuni.toml is not a setting: did you",
        ),
        ("killed:app", "", 137, ""),
    ],
)
def test_check_config_tells_mistakes_of_pools_apart(
    api: str, more: str, status: int, sentence: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "killed.py").write_text("import os; os.kill(os.getpid(), 9)")
    (tmp_path / "greenuni.toml").write_text(POOLS.format(api=api, more=more))
    outcome = command("--check-config")
    assert outcome.status == status
    assert sentence in outcome.errors
    assert outcome.errors.count("\n") == bool(sentence)


def test_check_config_keeps_what_pools_import_apart(command: Command, tmp_path: Path) -> None:
    toml = 'signal_pool = "a"\n'
    for name, other in (("a", "127.0.0.1:9001"), ("b", "127.0.0.1:9002")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.py").write_text(
            f"import os\nassert os.environ['GREENUNI_POOL'] == '{name}'\n{WSGI}"
        )
        toml += f'[pools.{name}]\napp = "main"\nchdir = "{name}"\nbind = "{other}"\n'
    (tmp_path / "greenuni.toml").write_text(toml)
    outcome = command("--check-config")
    assert (outcome.status, outcome.errors) == (0, "")


def test_an_application_beside_pools_is_a_mistake(command: Command, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text(POOLS.format(api="asgi:app", more=""))
    outcome = command("wsgi:app")
    assert outcome.status == 2
    assert outcome.errors == (
        "greenuni: error: 'wsgi:app' (command line APP) is one application too many: there are pools, "
        "each with its own, pools.site.app in greenuni.toml\n"
    )


@pytest.mark.parametrize("module", ["wsgi", "asgi"])
def test_serves(module: str, command: Command, tmp_path: Path) -> None:
    with serve(f"{module}:app", "--workers", "2", cwd=tmp_path) as server:
        with server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        ("asgi:app --threads 4", 2, "--threads (command line --threads) applies to WSGI"),
        ("asgi:app --threads 4 --preload", 2, "--threads (command line --threads) applies to WSGI"),
        ("asgi:app --interface wsgi", 2, "leave --interface out"),
        ("wsgi:ap", 3, "did you mean 'app'?"),
        ("wsgi:ap --preload", 3, "did you mean 'app'?"),
    ],
)
def test_first_generation_that_cannot_boot_ends_the_server(
    arguments: str, status: int, sentence: str, command: Command, tmp_path: Path
) -> None:
    with serve(*arguments.split(), "--workers", "2", cwd=tmp_path, wait=False) as server:
        assert server.wait() == status
        assert sentence in server.log
        assert "Traceback" not in server.log


def test_reload_reads_the_configuration_again(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "greenuni.toml"
    file.write_text('wsgi_app = "wsgi:app"\nworkers = 1')
    with serve(cwd=tmp_path) as server:
        assert len(server.workers()) == 1
        file.write_text('wsgi_app = "wsgi:app"\nworkers = 2')
        server.signal(signal.SIGHUP)
        server.wait_for_log("Serving ", count=2)
        file.write_text("workers = 'many'")
        server.signal(signal.SIGHUP)
        server.wait_for_log("workers in greenuni.toml: 'many' is not a whole number")
        assert server.running()
