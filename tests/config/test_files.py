"""Which configuration file is read, and what Python and TOML files may hold."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni.config import Config
from greenuni.errors import ConfigError

Read = Callable[..., Config]

PROJECT = '[project]\nname = "shop"\n'

# The shape of the file in a popular container image: helpers with names close to settings.
CONTAINER_IMAGE = """
import json
import multiprocessing
import os

workers_per_core_str = os.getenv("WORKERS_PER_CORE", "1")
max_workers_str = os.getenv("MAX_WORKERS")
use_max_workers = None
web_concurrency_str = os.getenv("WEB_CONCURRENCY", None)
host = os.getenv("HOST", "0.0.0.0")
port = os.getenv("PORT", "80")
bind_env = os.getenv("BIND", None)
use_loglevel = os.getenv("LOG_LEVEL", "info")
use_bind = bind_env or f"{host}:{port}"
cores = multiprocessing.cpu_count()
web_concurrency = max(int(float(workers_per_core_str) * cores), 2)
accesslog_var = os.getenv("ACCESS_LOG", "-")
use_accesslog = accesslog_var or None
errorlog_var = os.getenv("ERROR_LOG", "-")
graceful_timeout_str = os.getenv("GRACEFUL_TIMEOUT", "120")
timeout_str = os.getenv("TIMEOUT", "120")
keepalive_str = os.getenv("KEEP_ALIVE", "5")

loglevel = use_loglevel
workers = web_concurrency
bind = use_bind
errorlog = errorlog_var or None
worker_tmp_dir = "/dev/shm"
accesslog = use_accesslog
graceful_timeout = int(graceful_timeout_str)
timeout = int(timeout_str)
keepalive = int(keepalive_str)
log_data = {"loglevel": loglevel, "workers": workers, "bind": bind, "host": host, "port": port}
print(json.dumps(log_data))
"""

GUNICORN_EXAMPLE = """
bind = "127.0.0.1:8000"
backlog = 2048
workers = 1
worker_class = "sync"
worker_connections = 1000
timeout = 30
keepalive = 2
spew = False
daemon = False
raw_env = ["DJANGO_SECRET_KEY=something", "SPAM=eggs"]
pidfile = None
umask = 0
user = None
group = None
tmp_upload_dir = None
errorlog = "-"
loglevel = "info"
accesslog = None
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
proc_name = None
certfile = None
keyfile = None
reload_extra_files = []
secure_scheme_headers = {}
"""


# --- which file ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("greenuni.conf.py", "workers = 3", "greenuni.conf.py"),
        ("greenuni.toml", "workers = 3", "greenuni.toml"),
        ("gunicorn.conf.py", "workers = 3", "gunicorn.conf.py"),
        (
            "pyproject.toml",
            PROJECT + "[tool.greenuni]\nworkers = 3",
            "pyproject.toml [tool.greenuni]",
        ),
    ],
)
def test_found_in_the_directory(
    name: str, text: str, place: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    config = read()
    assert (config.workers, config.source_of("workers"), config.notes) == (3, place, ())
    assert (config.config, config.source_of("config")) == (
        str(tmp_path / name),
        "current directory",
    )


@pytest.mark.parametrize("pair", ["conf.py toml", "conf.py project", "toml project"])
def test_two_of_ours_are_an_error(pair: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    texts = {
        "conf.py": ("greenuni.conf.py", ""),
        "toml": ("greenuni.toml", ""),
        "project": ("pyproject.toml", "[tool.greenuni]"),
    }
    for kind in pair.split():
        name, text = texts[kind]
        (tmp_path / name).write_text(text)
    with pytest.raises(
        ConfigError, match=r"both .* and .* hold settings: keep one, or choose with -c"
    ):
        read()
    (tmp_path / "chosen.toml").write_text("workers = 3")
    assert read("-c", "chosen.toml").workers == 3


def test_ours_is_read_instead_of_gunicorns_with_a_note(read: Read, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("workers = 9; raise RuntimeError")
    (tmp_path / "greenuni.toml").write_text("workers = 3")
    config = read()
    assert config.workers == 3
    assert config.notes == ("greenuni.toml is read, gunicorn.conf.py beside it is not",)


def test_project_file_of_others_is_left_alone(read: Read, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("this is [not toml")
    assert read().sources == {}
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["greenuni"]')
    assert read().sources == {}


def test_flag_names_any_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "web.py").write_text("workers = 2")
    (tmp_path / "conf" / "web.toml").write_text("workers = 3")
    (tmp_path / "conf" / "web").write_text("workers = 4")
    (tmp_path / "conf" / "pyproject.toml").write_text("[tool.greenuni]\nworkers = 5")
    (tmp_path / "greenuni.toml").write_text("workers = 9")
    assert read("-c", "conf/web.py").workers == 2
    assert read("-c", "file:conf/web.toml").workers == 3
    assert read("-c", str(tmp_path / "conf" / "web")).workers == 4
    config = read("-c", "conf/pyproject.toml")
    assert (config.workers, config.config) == (5, str(tmp_path / "conf" / "pyproject.toml"))
    assert config.source_of("config") == "command line -c"
    assert config.source_of("workers") == "conf/pyproject.toml [tool.greenuni]"
    assert read(environ={"GREENUNI_CMD_ARGS": "-c conf/web.py"}).workers == 2
    in_environment = {"GREENUNI_CMD_ARGS": "-c conf/web.py"}
    assert read("-c", "conf/web.toml", environ=in_environment).workers == 3


def test_missing_file(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"^--config: there is no file 'nowhere.py' in '/"):
        read("-c", "nowhere.py")


def test_importable_module(read: Read, tmp_path: Path) -> None:
    (tmp_path / "deployment_one").mkdir()
    (tmp_path / "deployment_one" / "web.py").write_text("workers = 3")
    config = read("-c", "python:deployment_one.web")
    assert config.workers == 3
    assert config.source_of("workers") == "python:deployment_one.web"
    with pytest.raises(ConfigError, match=r"python:deployment_two raised ModuleNotFoundError"):
        read("-c", "python:deployment_two")


# --- Python -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [CONTAINER_IMAGE, GUNICORN_EXAMPLE])
def test_files_written_for_gunicorn_work(text: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(text)
    config = read()
    assert config.source_of("bind") == "gunicorn.conf.py"
    assert config.keepalive in (2, 5)


def test_needless_setting_gets_a_note(read: Read, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("worker_tmp_dir = '/dev/shm'")
    assert read().notes == (
        "worker_tmp_dir in gunicorn.conf.py has no use here: workers beat in shared memory, "
        "not in a file",
    )


def test_gunicorns_names_of_our_settings(read: Read, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("asgi_loop = 'asyncio'\nasgi_lifespan = 'off'")
    config = read()
    assert (config.loop, config.lifespan) == ("asyncio", "off")


def test_helpers_functions_and_imports_are_allowed(read: Read, tmp_path: Path) -> None:
    (tmp_path / "sizes.py").write_text("COUNT = 3")
    (tmp_path / "greenuni.conf.py").write_text(
        "import os, sizes\nfrom pathlib import Path\n\n"
        "def double(n):\n    return 2 * n\n\n"
        "_worker = 1\nTIMEOUTS = {}\nconfig = {}\nname = 'shop'\n"
        "workers = double(sizes.COUNT)\nproc_name = name\n"
    )
    config = read()
    assert (config.workers, config.proc_name) == (6, "shop")


def test_host_and_port_are_settings_without_bind_and_helpers_with_it(
    read: Read, tmp_path: Path
) -> None:
    file = tmp_path / "greenuni.conf.py"
    file.write_text("host = '::1'\nport = 80\nbind = f'[{host}]:{port + 1}'")
    config = read()
    assert (config.bind, config.port) == (("[::1]:81",), None)
    file.write_text("host = '::1'\nport = 80")
    assert read().bind == ("[::1]:80",)


@pytest.mark.parametrize(
    "name", ["timeout_str", "max_workers", "use_loglevel", "bind_env", "user_name", "WORKER", "env"]
)
def test_variable_that_only_reminds_of_a_setting_is_a_helper(
    name: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(f"{name} = '1'")
    assert set(read().sources) == {"config"}


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("worker = 3", "workers"),
        ("log_level = 'debug'", "loglevel"),
        ("keep_alive = 3", "keepalive"),
        ("access_logfile = '-'", "accesslog"),
        ("preload = True", "preload_app"),
        ("timeouts = 3", "timeout"),
        ("max_request = 3", "max_requests"),
        ("Bind = 'a:1'", "bind"),
    ],
)
def test_variable_close_to_a_setting_is_an_error(
    variable: str, meant: str, read: Read, tmp_path: Path
) -> None:
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(variable)
    name = variable.split()[0]
    with pytest.raises(
        ConfigError, match=rf"^{name} in gunicorn.conf.py .* did you mean '{meant}'"
    ):
        read()
    kind = "'x:1'" if meant == "bind" else "True" if meant == "preload_app" else "'1'"
    good = "'info'" if meant == "loglevel" else kind
    file.write_text(f"{variable}\n{meant} = {good}")
    assert meant in read().sources


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def post_fork(server, worker): pass", "post_fork in gunicorn.conf.py (gunicorn) is not "),
        ("def when_ready(server): pass", "there are no server hooks yet"),
        ("keyfile = 'key.pem'", "let a proxy such as nginx, Caddy or HAProxy terminate TLS"),
        ("cert_reqs = 1", "terminate TLS"),
        ("daemon = True", "run it in the foreground"),
        ("statsd_host = 'localhost:8125'", "access log"),
        ("worker_class = object", "is none of auto, sync, gthread, asgi"),
        ("worker_class = 'tornado'", "Tornado applications bring their own server"),
        ("worker_class = 'mine.Worker'", "worker class of another server: leave it out"),
        ("workers = True", "True is not a whole number"),
        ("timeout = None", "None is not a number of seconds"),
        ("bind = []", "names no address"),
        ("raw_env = {1: 2}", None),
        ("logconfig_dict = 'x'", "'x' is not a table"),
        ("print_config = True", "this is for the command line only"),
    ],
)
def test_refused_in_python(text: str, sentence: str | None, read: Read, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(text)
    if sentence is None:
        assert read().raw_env == ("1=2",)
        return
    with pytest.raises(ConfigError) as refused:
        read()
    assert sentence in str(refused.value)
    assert "gunicorn.conf.py" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("import os\n1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_module_here", "ModuleNotFoundError"),
        ("import sys\nsys.exit('DATABASE_URL is missing')", "SystemExit: DATABASE_URL is missing"),
        ("workers = (", "SyntaxError"),
    ],
)
def test_error_in_a_file_shows_the_users_frames_only(
    text: str, summary: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / "greenuni.conf.py").write_text(text)
    with pytest.raises(ConfigError) as refused:
        read()
    assert str(refused.value).startswith(f"greenuni.conf.py raised {summary}")
    assert f'{tmp_path}/greenuni.conf.py", line ' in refused.value.details
    assert "greenuni/config" not in refused.value.details
    assert "importlib" not in refused.value.details


def test_file_is_read_anew_with_its_neighbours(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.conf.py").write_text("import neighbour_of_ours as n\nworkers = n.COUNT")
    (tmp_path / "neighbour_of_ours.py").write_text("COUNT = 2")
    assert read().workers == 2
    assert "neighbour_of_ours" not in sys.modules
    assert str(tmp_path) not in sys.path
    (tmp_path / "neighbour_of_ours.py").write_text("COUNT = 3333")
    assert read().workers == 3333


def test_file_may_hold_a_dataclass(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.conf.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Size:\n    count: int\n\nworkers = Size(3).count\n"
    )
    assert read().workers == 3
    assert "__config__" not in sys.modules


# --- TOML ---------------------------------------------------------------------------------------


def test_toml_takes_names_of_flags_with_dashes(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text(
        'keep-alive = 5\nlog_level = "debug"\npreload = true\nasgi-loop = "asyncio"\n'
        'bind = ["a:1", "b:2"]\nsendfile = false\n[env]\nA = "1"\nB = 2\n'
    )
    config = read()
    assert (config.keepalive, config.loglevel, config.preload_app) == (5, "debug", True)
    assert config.raw_env == ("A=1", "B=2")
    assert config.bind == ("a:1", "b:2")
    assert config.sendfile is False
    assert config.source_of("keepalive") == "greenuni.toml"


def test_toml_holds_a_log_configuration(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text("[logconfig_dict]\nversion = 1")
    assert read().logconfig_dict == {"version": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("worker = 3", "worker in greenuni.toml is not a setting: did you mean 'workers'?"),
        ("qqqq = 3", "qqqq in greenuni.toml is not a setting: docs/settings.md lists all"),
        ("workers = 1.5", "workers in greenuni.toml: 1.5 is not a whole number"),
        ("keepalive = 1\nkeep-alive = 2", "keep-alive in greenuni.toml: the same setting stands"),
        ("keyfile = 'x'", "keyfile in greenuni.toml (gunicorn) is not supported"),
        ("env-file = '.env'", "env-file in greenuni.toml (uvicorn, granian) is not supported"),
        ("config = 'x'", "config in greenuni.toml: this is for the command line only"),
        ("check-config = true", "check-config in greenuni.toml: this is for the command line only"),
        ("workers = ", "greenuni.toml cannot be read: "),
    ],
)
def test_refused_in_toml(text: str, sentence: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        read()
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("file", ["gunicorn.conf.py", "greenuni.toml"])
def test_everything_unsupported_in_one_file_is_named_at_once(
    file: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(
        "keyfile = 'k'\nwhen_ready = 'x'\nworkers = 2\ncertfile = 'c'\npost_fork = 'x'\nspew = 1\n"
    )
    with pytest.raises(ConfigError) as refused:
        read()
    first, *answers = str(refused.value).splitlines()
    assert first == f"5 settings in {file} are not supported:"
    assert [answer.partition(": ")[0].strip() for answer in answers] == [
        "keyfile, certfile (gunicorn)",
        "when_ready, post_fork (gunicorn)",
        "spew (gunicorn)",
    ]
    assert answers[0].endswith("let a proxy such as nginx, Caddy or HAProxy terminate TLS")
    assert "with --preload only once, before they are forked" in answers[1]


def test_project_table_must_be_a_table(read: Read, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\ngreenuni = 3")
    with pytest.raises(ConfigError, match=r"pyproject.toml: tool.greenuni is not a table"):
        read()
