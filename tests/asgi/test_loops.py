"""Which loop runs, and the sentences when it cannot."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from greenuni.asgi.server import Server
from greenuni.config import Config
from greenuni.errors import ConfigError
from greenuni.loops import LoopChoice, choose_loop
from greenuni.shell import Interface
from greenuni.testing import fake_seat

from .support import hello


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
    from .support import serving

    with pytest.raises(ConfigError), serving(hello, forwarded_allow_ips="not an address"):
        raise AssertionError("the server became ready")
