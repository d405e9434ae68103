"""Which loop runs, and the sentences when it cannot."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from greenuni.asgi.server import Server
from greenuni.config import Config
from greenuni.errors import ConfigError
from greenuni.loops import LoopChoice, choose_loop
from greenuni.shell import Interface
from greenuni.testing import fake_seat

from .support import hello, serving


def config(**settings: Any) -> Config:
    return fake_seat(hello, Interface.ASGI3, [], **settings).config


@pytest.fixture
def uvloop_version(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend that another uvloop is installed; None is none."""

    def pretend(version: str | None) -> None:
        module: Any = None
        if version is not None:
            module = ModuleType("uvloop")
            module.__version__ = version  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "uvloop", module)

    return pretend


@pytest.mark.parametrize("version", ["0.23.0", "0.23.0rc1", "0.30", "1.0.0"])
def test_auto_takes_uvloop_when_it_is_there(uvloop_version: Any, version: str) -> None:
    uvloop_version(version)
    assert choose_loop(config()) == LoopChoice("asyncio", use_uvloop=True)
    assert str(choose_loop(config())) == "uvloop"


def test_auto_takes_asyncio_when_it_is_not(uvloop_version: Any) -> None:
    uvloop_version(None)
    assert choose_loop(config()) == LoopChoice("asyncio")


@pytest.mark.parametrize("loop", ["auto", "uvloop"])
@pytest.mark.parametrize("version", ["0.22.1", "0.9"])
def test_an_old_uvloop_is_refused(uvloop_version: Any, version: str, loop: str) -> None:
    uvloop_version(version)
    with pytest.raises(ConfigError, match=f"uvloop {version} .*'uvloop>=0.23'"):
        choose_loop(config(loop=loop))


def test_an_old_uvloop_does_not_matter_when_it_is_not_used(uvloop_version: Any) -> None:
    uvloop_version("0.9")
    assert str(choose_loop(config(loop="asyncio"))) == "asyncio"
    assert str(choose_loop(config(async_backend="trio"))) == "trio"


def test_a_missing_uvloop_is_named(uvloop_version: Any) -> None:
    uvloop_version(None)
    with pytest.raises(ConfigError, match=r"pip install 'uvloop>=0\.23'"):
        choose_loop(config(loop="uvloop"))


def test_a_missing_trio_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'greenuni\[trio\]'"):
        choose_loop(config(async_backend="trio"))


def test_uvloop_and_trio_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="not with trio"):
        Server(fake_seat(hello, Interface.ASGI3, [], loop="uvloop", async_backend="trio"))


def test_a_setting_that_the_wire_does_not_take_is_a_config_error() -> None:
    with pytest.raises(ConfigError), serving(hello, forwarded_allow_ips="not an address"):
        raise AssertionError("the server became ready")


WORKER = """
import sys, threading
from greenuni.asgi import Server
from greenuni.shell import Interface
from greenuni.testing import fake_seat

async def application(scope, receive, send):
    await receive()
    await send({{"type": "lifespan.startup.complete"}})
    await receive()
    await send({{"type": "lifespan.shutdown.complete"}})

seat = fake_seat(application, Interface.ASGI3, [], lifespan="on", loop="{loop}")
server = Server(seat)
worker = threading.Thread(target=server.run)
worker.start()
assert seat.ready.wait(10)
server.drain()
worker.join()
print(*sys.modules)
"""


def loaded_by_worker(loop: str, *, before: str = "") -> set[str]:
    """Names in sys.modules of a worker that has lived; statements run ``before`` it starts."""
    done = subprocess.run(
        [sys.executable, "-c", before + WORKER.format(loop=loop)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    return set(done.stdout.split())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has no Runner, anyio has")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_worker_does_without_anyio_if_its_application_does(loop: str) -> None:
    loaded = loaded_by_worker(loop)
    assert "asyncio" in loaded
    assert not loaded & {"anyio", "wsproto", "asgiref", "trio", "typing_extensions"}


def test_what_an_application_with_anyio_needs_is_there_before_its_first_request() -> None:
    assert "anyio._backends._asyncio" in loaded_by_worker("asyncio", before="import anyio")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_the_tick_raises_ends_the_server(loop: str) -> None:
    """Rather than to serve on without deadlines and without beats."""

    def fail() -> None:
        raise ArithmeticError("in the tick")

    seat = fake_seat(hello, Interface.ASGI3, [], loop=loop)
    seat.slot.beat = fail  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as threads, pytest.raises(ArithmeticError):
        threads.submit(Server(seat).run).result()


def test_a_server_that_waits_knows_when_it_ticks_next(backend: str) -> None:
    with serving(hello, backend) as server:
        assert repr(server.server._news).startswith("<News, a tick in ")
