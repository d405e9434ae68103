"""Pools in configuration files: what each of them ends up with, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni.config import (
    SETTINGS,
    Config,
    TcpAddress,
    check_applicable,
    check_outputs,
    render_config,
    render_given,
    worker_interface,
)
from greenuni.config.declare import Scope
from greenuni.config.tables import MOST_POOLS
from greenuni.errors import ConfigError

Read = Callable[..., Config]

ISSUE = """
bind = ["0.0.0.0:8000"]
timeout = 20
[pools.site]
app = "mysite.wsgi:application"
workers = 4
threads = 2
[pools.api]
app = "api.main:app"
mount = "/api/"
workers = "auto"
timeout = 120
"""


@pytest.fixture
def pools(read: Read, tmp_path: Path) -> Callable[..., tuple[Config, ...]]:
    """``pools(toml, "--timeout", "5")`` are the pools of that file."""

    def pools(toml: str, *arguments: str, **environ: str) -> tuple[Config, ...]:
        (tmp_path / "greenuni.toml").write_text(toml)
        return read(*arguments, environ=environ).pools

    return pools


Pools = Callable[..., tuple[Config, ...]]


# What a pool is


def test_a_server_without_pools_is_one_pool(read: Read) -> None:
    config = read("main:app")
    assert config.pools == ()
    assert config.each_pool == (config,)
    assert (config.pool, config.mount) == ("", None)
    assert config.owners() == {TcpAddress("127.0.0.1", 8000): config}


def test_a_pool_is_the_whole_overlaid_by_what_it_says(pools: Pools) -> None:
    site, api = pools(ISSUE)
    assert (site.pool, site.wsgi_app, site.mount) == ("site", "mysite.wsgi:application", "/")
    assert (site.workers, site.threads, site.timeout) == (4, 2, 20.0)
    assert site.worker_class == "auto"
    assert (api.pool, api.mount, api.threads, api.timeout) == ("api", "/api", 1, 120.0)
    assert api.workers >= 1
    assert api.workers_arithmetic
    assert site.bind == api.bind == ("0.0.0.0:8000",)
    assert api.given_in_pool == {"wsgi_app", "mount", "workers", "timeout"}
    assert "pool api" in repr(api)


def test_a_pool_is_closer_to_itself_than_any_other_source(pools: Pools) -> None:
    arguments = ("--timeout", "5", "--keep-alive", "6")
    site, api = pools(ISSUE, *arguments, WEB_CONCURRENCY="9")
    assert (site.timeout, site.keepalive, site.workers) == (5.0, 6.0, 4)
    assert (api.timeout, api.keepalive) == (120.0, 6.0)
    assert site.source_of("timeout") == "command line --timeout"
    assert api.source_of("timeout") == "greenuni.toml pools.api"


def test_python_files_name_pools_too(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.conf.py").write_text(
        'pools = {"site": {"app": "a:b"}, "api": dict(wsgi_app="c:d", mount="/c", keep_alive=3)}'
    )
    site, api = read().pools
    assert (site.wsgi_app, api.wsgi_app) == ("a:b", "c:d")
    assert (api.mount, api.keepalive) == ("/c", 3.0)
    assert api.source_of("mount") == "greenuni.conf.py pools.api"


def test_the_project_file_names_pools_too(read: Read, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.greenuni.pools.site]\napp = "a:b"')
    (site,) = read().pools
    assert site.source_of("wsgi_app") == "pyproject.toml [tool.greenuni] pools.site"


def test_a_sync_pool_with_threads_is_a_gthread_one(pools: Pools) -> None:
    one, other = pools(
        'worker_class = "sync"\n[pools.a]\napp = "a:b"\nthreads = 2\n'
        '[pools.b]\napp = "a:b"\nmount = "/b"'
    )
    assert (one.worker_class, other.worker_class) == ("gthread", "sync")


def test_the_directory_of_a_pool_starts_in_that_of_the_server(pools: Pools, tmp_path: Path) -> None:
    (tmp_path / "all" / "one" / "src").mkdir(parents=True)
    one, other = pools(
        'chdir = "all"\n[pools.a]\napp = "a:b"\nchdir = "one"\napp_dir = "src"\n'
        '[pools.b]\napp = "a:b"\nmount = "/b"'
    )
    assert one.chdir == str(tmp_path / "all" / "one")
    assert other.chdir == str(tmp_path / "all")


# Where a pool listens

TWO = '[pools.a]\napp = "a:b"\n{a}\n[pools.b]\napp = "c:d"\n{b}'


def test_a_pool_with_an_address_of_its_own_is_there_alone(pools: Pools) -> None:
    one, other = pools(TWO.format(a="", b='bind = ["127.0.0.1:9000", "unix:/b"]'))
    assert (one.bind, one.mount) == (("127.0.0.1:8000",), "/")
    assert (other.bind, other.mount) == (("127.0.0.1:9000", "unix:/b"), None)


def test_with_a_mount_besides_it_is_on_both(pools: Pools) -> None:
    _, other = pools(TWO.format(a="", b='bind = "127.0.0.1:9000"\nmount = "/b"'))
    assert (other.bind, other.mount) == (("127.0.0.1:8000", "127.0.0.1:9000"), "/b")


def test_an_address_belongs_to_the_server_or_to_a_pool(read: Read, pools: Pools) -> None:
    own = 'bind = "127.0.0.1:9000"\nmount = "/b"'
    one, other = pools(TWO.format(a="", b=own), "--bind", "127.0.0.1:7000")
    config = read("--bind", "127.0.0.1:7000")
    assert config.owners() == {
        TcpAddress("127.0.0.1", 7000): config,
        TcpAddress("127.0.0.1", 9000): other,
    }
    assert one.addresses == config.addresses


def test_nobody_listens_on_a_shared_port_without_mounts(read: Read, pools: Pools) -> None:
    one, other = pools(TWO.format(a='bind = "9001"', b='bind = "9002"'))
    assert list(read().owners().values()) == [one, other]


# What is refused


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            '[pools.api]\napp = "a:b"\nwokers = 2',
            "pools.api.wokers in greenuni.toml is not a setting: did you mean 'workers'?",
        ),
        (
            '[pools.api]\naap = "a:b"',
            "pools.api.aap in greenuni.toml is not a setting: did you mean 'app'?",
        ),
        ("[pools.api]\nworkers = 2", 'pools.api in greenuni.toml has no application: add app = "'),
        (
            '[pools.api]\napp = "a:b"\nworkers = "many"',
            "pools.api.workers in greenuni.toml: 'many' is not a whole number",
        ),
        (
            '[pools.api]\napp = "a:b"\nwsgi_app = "c:d"',
            "pools.api.wsgi_app in greenuni.toml: the same setting stands there as pools.api.app",
        ),
        (
            '[pools.api]\napp = "a:b"\nmount = "api"',
            "pools.api.mount in greenuni.toml: 'api' is not a mount: write a path with its slash",
        ),
        (
            '[pools.api]\napp = "a:b"\nmount = ["/api"]',
            "pools.api.mount in greenuni.toml: a list is not text",
        ),
        (
            TWO.format(a="", b=""),
            "pools.b.mount in greenuni.toml: pool a is mounted at / already",
        ),
        (
            TWO.format(a='mount = "A.org/x"', b='mount = "a.org/x/"'),
            "pools.b.mount in greenuni.toml: pool a is mounted at a.org/x already",
        ),
        (
            TWO.format(a='bind = "9000"', b='bind = ["9001", "127.0.0.1:9000"]'),
            "pools.b.bind in greenuni.toml: 127.0.0.1:9000 is the address of pool a already",
        ),
        (
            TWO.format(a='bind = "8000"\nmount = "/"', b='mount = "/b"'),
            "pools.a.bind in greenuni.toml: 127.0.0.1:8000 is the address of the whole server already",
        ),
        (
            'bind = "7000"\n' + TWO.format(a='bind = "9000"', b='bind = "9001"'),
            "bind (greenuni.toml): no pool would listen there, as each has a bind of its own",
        ),
        (
            '[pools.api]\napp = "a:b"\npidfile = "x"',
            "pools.api.pidfile in greenuni.toml is for the whole server: put it above the pools",
        ),
        (
            '[pools.api]\napp = "a:b"\nport = 80',
            "pools.api.port in greenuni.toml is for the whole server: put it above the pools; "
            "a pool's own address is bind",
        ),
        (
            'mount = "/x"\n[pools.api]\napp = "a:b"',
            "mount in greenuni.toml is for one pool: put it into pools.NAME",
        ),
        (
            'wsgi_app = "a:b"\n[pools.api]\napp = "c:d"',
            "'a:b' (greenuni.toml) is one application too many: there are pools, each with its own, "
            "pools.api.app in greenuni.toml",
        ),
        (
            "pools = 3",
            "pools in greenuni.toml: it holds one table for each pool, such as pools.site",
        ),
        ("[pools]", "pools in greenuni.toml: it holds one table for each pool"),
        (
            '[pools]\napp = "a:b"',
            "pools.app in greenuni.toml is not a table: name the pool, such as pools.site.app",
        ),
        (
            '[pools."a b"]\napp = "a:b"',
            "pools.a b in greenuni.toml: the name of a pool is letters, digits, - and _",
        ),
        (
            '[pool.site]\napp = "a:b"',
            "pool in greenuni.toml is not a setting: did you mean 'pools'?",
        ),
        (
            '[pools.a]\napp = "a:b"\n[pools.a.pools.b]\napp = "c:d"',
            "pools.a.pools in greenuni.toml is not a setting",
        ),
        (
            'signal_pool = "web"\n[pools.a]\napp = "a:b"',
            "signal_pool (greenuni.toml): no pool is called 'web'",
        ),
        ('signal_pool = "web"', "signal_pool (greenuni.toml): no pool is called 'web'"),
        (
            '[pools.a]\napp = "a:b"\ncertfile = "x.pem"',
            "pools.a.certfile in greenuni.toml (gunicorn) is not supported: let a proxy",
        ),
        (
            '[pools.a]\napp = "a:b"\nprint_config = true',
            "pools.a.print_config in greenuni.toml: this is for the command line only",
        ),
        (
            'reload = true\n[pools.a]\napp = "a:b"\npreload_app = true',
            "--reload and --preload exclude each other in pool a: it is a worker",
        ),
        (
            '[pools.a]\napp = "a:b"\nuser = "nobody-here"',
            "--user (greenuni.toml pools.a): there is no user 'nobody-here'",
        ),
        (
            "".join(f'[pools.p{n}]\napp = "a:b"\n' for n in range(MOST_POOLS + 1)),
            f"pools in greenuni.toml: {MOST_POOLS} pools are the most",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_key(
    toml: str, sentence: str, pools: Pools
) -> None:
    with pytest.raises(ConfigError) as refused:
        pools(toml)
    assert str(refused.value).startswith(sentence)


def test_the_command_line_names_no_application_beside_pools(pools: Pools) -> None:
    with pytest.raises(ConfigError) as refused:
        pools(ISSUE, "main:app")
    assert str(refused.value) == (
        "'main:app' (command line APP) is one application too many: there are pools, each with its own, "
        "pools.site.app in greenuni.toml"
    )


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ('pools = {"a": {"app": "a:b", "wokers": 1}}', "pools.a.wokers in greenuni.conf.py is not"),
        ('pools = [{"app": "a:b"}]', "pools in greenuni.conf.py: it holds one table for each pool"),
        ("pools = {1: {}}", "pools.1 in greenuni.conf.py: the name of a pool is letters"),
        (
            'poools = {"a": {}}',
            "poools in greenuni.conf.py is not a setting: did you mean 'pools'?",
        ),
        ('mount = "/a"', "mount in greenuni.conf.py is for one pool"),
    ],
)
def test_python_files_are_refused_alike(
    python: str, sentence: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / "greenuni.conf.py").write_text(python)
    with pytest.raises(ConfigError) as refused:
        read()
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    "name", [setting.name for setting in SETTINGS.values() if setting.scope is Scope.SERVER]
)
def test_what_is_for_the_whole_server_cannot_stand_in_a_pool(name: str, pools: Pools) -> None:
    with pytest.raises(ConfigError, match=f"pools.a.{name} in greenuni.toml"):
        pools(f'[pools.a]\napp = "a:b"\n{name} = 1')


def test_a_note_on_a_pool_is_shown_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text(
        '[pools.a]\napp = "a:b"\nworker_tmp_dir = "/dev/shm"\n[pools.b]\napp = "a:b"\nmount = "/b"'
    )
    (note,) = read().notes
    assert note.startswith("pools.a.worker_tmp_dir in greenuni.toml has no use here")
    assert [pool.notes for pool in read().pools] == [(), ()]


# What applies


def test_what_is_said_of_all_is_for_the_pools_it_means_something_to(pools: Pools) -> None:
    site, api = pools('threads = 8\nworker_class = "sync"\n' + ISSUE)
    check_applicable(site, "wsgi")
    check_applicable(api, "asgi")
    with pytest.raises(
        ConfigError, match=r"--threads \(greenuni.toml pools.site\) applies to WSGI"
    ):
        check_applicable(site, "asgi")


def test_only_a_pool_itself_asks_for_a_worker_of_the_other_interface(pools: Pools) -> None:
    asked, not_asked = pools(
        'worker_class = "sync"\n[pools.a]\napp = "a:b"\nworker_class = "sync"\n'
        '[pools.b]\napp = "a:b"\nmount = "/b"'
    )
    assert worker_interface(asked, "asgi") == "wsgi"
    assert worker_interface(not_asked, "asgi") == "asgi"
    assert worker_interface(not_asked, "asgi", "wsgi") == "wsgi"  # either would need an adapter


# Several applications in one pool


def test_a_pool_may_mount_several(pools: Pools) -> None:
    (site,) = pools('[pools.site]\nmounts = { "/api" = "a:b", "/" = "c:d" }')
    assert site.mounts == ("/api=a:b", "/=c:d")
    assert site.wsgi_app is None
    assert render_given(site) == "  mounts = /api=a:b, /=c:d (greenuni.toml pools.site)"


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            '[pools.a]\napp = "a:b"\nmounts = ["/=a:b"]',
            "'a:b' (greenuni.toml pools.a) is one application too many beside --mount (greenuni.toml pools",
        ),
        ("[pools.a]\nmounts = []", "pools.a.mounts in greenuni.toml: nothing is mounted"),
        (
            '[pools.a]\nmounts = ["/=a:b", "/=c:d"]',
            "pools.a.mounts in greenuni.toml: two applications are mounted at /: a:b and c:d",
        ),
        (
            'mounts = ["/=a:b"]\n[pools.a]\nmounts = ["/=c:d"]',
            "'/=a:b' (greenuni.toml) is one application too many: there are pools, each with its own, "
            "pools.a.app in greenuni.toml",
        ),
        ('mount = "/a"', "mount in greenuni.toml is for one pool: put it into pools.NAME; several"),
    ],
)
def test_mounts_of_pools_that_cannot_be(toml: str, sentence: str, pools: Pools) -> None:
    with pytest.raises(ConfigError) as refused:
        pools(toml)
    assert str(refused.value).startswith(sentence)


def test_the_directory_of_a_pools_socket_is_checked(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text('[pools.a]\napp = "a:b"\nbind = "unix:/no/where.sock"')
    with pytest.raises(ConfigError, match=r"--bind \(greenuni.toml pools.a\): .* no directory"):
        check_outputs(read(), str(tmp_path))


# What is shown


def test_print_config_ends_with_what_each_pool_says(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text(ISSUE)
    text = render_config(read("--keep-alive", "5"))
    server, site, api = text.partition("[pools.site]")[0], *text.split("[pools.")[1:]
    assert "wsgi_app" not in server
    assert "mount" not in server
    assert [line.split() for line in site.splitlines()[1:] if line] == [
        ["wsgi_app", "mysite.wsgi:application", "greenuni.toml", "pools.site"],
        ["workers", "4", "greenuni.toml", "pools.site"],
        ["threads", "2", "greenuni.toml", "pools.site"],
    ]
    assert ["timeout", "120", "s", "greenuni.toml", "pools.api"] in [
        line.split() for line in api.splitlines()
    ]
    assert "keepalive" not in site + api


def test_what_a_pool_says_is_listed_for_check_config(pools: Pools) -> None:
    site, _ = pools(ISSUE)
    assert render_given(site) == (
        "  wsgi_app = mysite.wsgi:application (greenuni.toml pools.site)\n"
        "  workers = 4 (greenuni.toml pools.site)\n"
        "  threads = 2 (greenuni.toml pools.site)"
    )
