"""Settings of the processes: what runs, where it listens, how many, as whom, and what they log."""

from __future__ import annotations

from typing import Any

from greenuni.config.declare import Alias, Applies, Difference, Scope, setting
from greenuni.config.kinds import (
    Account,
    Addresses,
    Choice,
    Environment,
    FileMode,
    Host,
    MountPoint,
    Mounts,
    Seconds,
    Size,
    Switch,
    Table,
    Text,
    Whole,
    WorkerClass,
    Workers,
)

DEFAULT_ACCESS_LOG_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
PATH = Text("PATH", "path")


class ApplicationSettings:
    """Which application, and how it is called."""

    wsgi_app: str | None = setting(
        None,
        Text("APP", "module:attribute"),
        help='the application: "module", "module:attribute" or "module:factory(\'argument\')"; on the '
        "command line it stands without a flag",
    )
    interface: str = setting(
        "auto",
        Choice("auto", "wsgi", "asgi", "asgi2", synonyms={"asgi3": "asgi"}),
        "--interface",
        help="how the application is called; auto finds out",
    )
    mounts: tuple[str, ...] = setting(
        (),
        Mounts(),
        "--mount",
        help="several applications, of either interface, from the same workers instead of one: where each is "
        "mounted, as /path, host/ or host/path, and which it is; repeat it. The longest path that fits a "
        "request wins, those of its host before those of any. In a pool they are below its own mount",
    )
    mount: str | None = setting(
        None,
        MountPoint(),
        help="what part of the shared port is the pool's: the longest mount that fits the path of a request "
        "wins, those of its host before those of any; / unless the pool has a bind of its own",
        scope=Scope.POOL,
    )
    factory: bool = setting(
        False, Switch(), "--factory", help="the target is a function that returns the application"
    )
    app_dir: str | None = setting(
        None,
        PATH,
        "--app-dir",
        help="directory to import the application from, besides the current one",
    )
    chdir: str | None = setting(
        None,
        PATH,
        "--chdir",
        help="change to this directory first; other relative paths start there",
        aliases=(Alias("granian", "--working-dir"),),
    )
    pythonpath: str | None = setting(
        None,
        Text("PATHS", "paths, comma separated"),
        "--pythonpath",
        help="directories to put in front of the import path",
    )
    raw_env: tuple[str, ...] = setting(
        (), Environment(), "-e", "--env", help="environment variable to set for the application"
    )
    lifespan: str = setting(
        "auto",
        Choice("auto", "on", "off"),
        "--lifespan",
        help="whether the ASGI application is told of startup and shutdown; auto finds out",
        aliases=(Alias("gunicorn", "--asgi-lifespan"),),
        applies=Applies.ASGI_APPLICATION,
    )
    loop: str = setting(
        "auto",
        Choice("auto", "asyncio", "uvloop"),
        "--loop",
        help="event loop of ASGI applications and workers; auto is uvloop where it is installed",
        aliases=(Alias("gunicorn", "--asgi-loop"),),
        applies=Applies.ASGI,
    )
    async_backend: str = setting(
        "asyncio",
        Choice("asyncio", "trio"),
        "--async-backend",
        help="the library that ASGI applications run on",
        applies=Applies.ASGI,
    )


class SocketSettings:
    """Where the server listens."""

    bind: tuple[str, ...] = setting(
        ("127.0.0.1:8000",),
        Addresses(),
        "-b",
        "--bind",
        help="listen on host:port, [v6]:port, unix:path or fd://N; repeat it or separate with commas. A port "
        "alone listens on 127.0.0.1, :port on every IPv4 address",
        aliases=(
            Alias("uvicorn", "--uds", template="unix:{}"),
            Alias("uvicorn", "--fd", template="fd://{}"),
        ),
    )
    host: str | None = setting(
        None,
        Host(),
        "--host",
        help="listen on this host, 127.0.0.1 when only a port is given; or use bind",
        scope=Scope.SERVER,
    )
    port: int | None = setting(
        None,
        Whole(0, 65535, "PORT"),
        "--port",
        help="listen on this port, 8000 when only a host is given; or use bind. $PORT alone listens on "
        "0.0.0.0",
        environment="PORT",
        scope=Scope.SERVER,
    )
    backlog: int = setting(
        2048, Whole(1), "--backlog", help="connections that the kernel holds until one is accepted"
    )
    reuse_port: bool = setting(
        False,
        Switch(),
        "--reuse-port",
        help="bind with SO_REUSEPORT, so that two servers can share a port",
        scope=Scope.SERVER,
    )


class WorkerSettings:
    """How many processes, and what each may take on."""

    workers: int = setting(
        1,
        Workers(1),
        "-w",
        "--workers",
        help="worker processes; auto is one for each CPU that affinity and cgroup quota leave",
        environment="WEB_CONCURRENCY",
    )
    worker_class: str = setting(
        "auto",
        WorkerClass(),
        "-k",
        "--worker-class",
        help="kind of worker; auto is asgi if an application is ASGI, else sync. An application of the other "
        "interface runs through an adapter",
        differs=Difference(
            "sync", "the interface of the application decides, so the flag is not needed"
        ),
    )
    threads: int = setting(
        1,
        Whole(1),
        "--threads",
        help="threads in each worker that run the application; in an asgi worker they run WSGI applications, "
        "and are 32 unless given",
        aliases=(Alias("granian", "--blocking-threads"),),
        applies=Applies.WSGI,
    )
    worker_connections: int = setting(
        1000,
        Whole(1),
        "--worker-connections",
        help="requests that an ASGI worker works on at a time; one that is full accepts nobody. Of a WSGI "
        "worker, the connections that it holds at most",
    )
    max_requests: int = setting(
        0,
        Whole(),
        "--max-requests",
        help="replace a worker after this many requests; 0 never does",
        aliases=(Alias("uvicorn", "--limit-max-requests"),),
    )
    max_requests_jitter: int = setting(
        0,
        Whole(),
        "--max-requests-jitter",
        help="add up to this many to max_requests, at random for each worker",
        aliases=(Alias("uvicorn", "--limit-max-requests-jitter"),),
    )
    max_worker_rss: int = setting(
        0,
        Size(),
        "--max-worker-rss",
        help="replace a worker that has more than this in memory, what it shares with others included; 512M, "
        "1.5G; 0 never does. It is looked at every few seconds",
    )
    max_worker_age: float = setting(
        0.0,
        Seconds(),
        "--max-worker-age",
        help="replace a worker that has served for this long, and up to a tenth longer, at random for each; "
        "0 never does",
        aliases=(Alias("granian", "--workers-lifetime"),),
    )
    surge: int = setting(
        1,
        Whole(1),
        "--surge",
        help="successors that boot at a time when HUP replaces workers, each beside the one that it replaces",
    )
    boot_retries: int = setting(
        1,
        Whole(),
        "--boot-retries",
        help="boots that may fail, and be tried again, before HUP gives a new generation up and the old one "
        "stays. A first generation that cannot boot ends the server at once",
    )
    preload_app: bool = setting(
        False,
        Switch(),
        "--preload",
        help="import the application once, in a process that the workers are forked from, so that they share "
        "its memory. HUP imports it again; where orphans cannot be adopted (not Linux) the code stays",
    )
    reload: bool = setting(
        False,
        Switch(),
        "--reload",
        help="restart the workers when a file that they imported changes",
        scope=Scope.SERVER,
    )


class ProcessSettings:
    """As whom and under which name the processes run."""

    user: str | None = setting(
        None, Account("USER"), "-u", "--user", help="run workers as this user; needs root at start"
    )
    group: str | None = setting(
        None,
        Account("GROUP"),
        "-g",
        "--group",
        help="run workers as this group; needs root at start",
    )
    umask: int = setting(
        0,
        FileMode(),
        "-m",
        "--umask",
        help="mask for files that the workers create; 0 leaves the one that the server was started with",
        differs=Difference("0, which is set", "it would open the application's files to everybody"),
    )
    pidfile: str | None = setting(
        None,
        PATH,
        "-p",
        "--pid",
        help="file to write the process id to",
        aliases=(Alias("granian", "--pid-file"),),
        scope=Scope.SERVER,
    )
    proc_name: str | None = setting(
        None,
        Text("NAME"),
        "-n",
        "--name",
        help="name in the process list; needs setproctitle",
        aliases=(Alias("granian", "--process-name"),),
        scope=Scope.SERVER,
    )

    signal_pool: str | None = setting(
        None,
        Text("NAME"),
        help="the pool that TTIN and TTOU give a worker to or take one from; all of them when not set",
        scope=Scope.SERVER,
    )


class LogSettings:
    """The error log and the access log."""

    accesslog: str | None = setting(
        None,
        PATH,
        "--access-logfile",
        help='file for the access log, "-" for standard output, none for no access log',
        aliases=(
            Alias("uvicorn", "--access-log", constant=("-",)),
            Alias("uvicorn", "--no-access-log", constant=(None,)),
        ),
        scope=Scope.SERVER,
    )
    access_log_format: str = setting(
        DEFAULT_ACCESS_LOG_FORMAT,
        Text("FORMAT", "text"),
        "--access-logformat",
        help='format of an access log line, or "json"',
        scope=Scope.SERVER,
    )
    errorlog: str = setting(
        "-",
        PATH,
        "--error-logfile",
        "--log-file",
        help='file for the error log, "-" for standard error',
        scope=Scope.SERVER,
    )
    loglevel: str = setting(
        "info",
        Choice("debug", "info", "warning", "error", "critical", synonyms={"warn": "warning"}),
        "--log-level",
        help="least level that the error log shows",
        scope=Scope.SERVER,
    )
    logconfig: str | None = setting(
        None,
        PATH,
        "--log-config",
        help="logging configuration in the format of logging.config.fileConfig",
        scope=Scope.SERVER,
    )
    logconfig_json: str | None = setting(
        None,
        PATH,
        "--log-config-json",
        help="logging configuration as JSON, for logging.config.dictConfig",
        scope=Scope.SERVER,
    )
    logconfig_dict: dict[str, Any] = setting(  # it makes a field
        {},
        Table(),
        help="logging configuration for logging.config.dictConfig",
        scope=Scope.SERVER,
    )
    capture_output: bool = setting(
        False,
        Switch(),
        "--capture-output",
        help="send the application's output to the error log",
        scope=Scope.SERVER,
    )


class CommandSettings:
    """What the command does besides serving."""

    config: str | None = setting(
        None,
        PATH,
        "-c",
        "--config",
        help="configuration file, .py or .toml, or python:module; without it greenuni.conf.py, "
        "greenuni.toml, pyproject.toml and gunicorn.conf.py are looked for",
        scope=Scope.SERVER,
    )
    print_config: bool = setting(
        False,
        Switch(),
        "--print-config",
        help="print every setting and where it comes from, then end",
        scope=Scope.SERVER,
    )
    check_config: bool = setting(
        False,
        Switch(),
        "--check-config",
        help="load configuration and application, say what they are, end",
        scope=Scope.SERVER,
    )
