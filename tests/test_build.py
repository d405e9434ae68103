"""What the installation says of itself, compiled and from the sources."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from greenuni import build

SCRIPT = (
    "import sys; from greenuni import build;"
    "print(build.summary(), 'greenuni.clock' in sys.modules, 'greenuni.http' in sys.modules)"
)


def summary_of_a_process(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout.rstrip()


def test_asking_imports_nothing() -> None:
    assert summary_of_a_process() == f"{build.summary()} False False"


def test_sources_can_be_chosen_although_it_is_compiled() -> None:
    assert summary_of_a_process(GREENUNI_PURE="1") == (
        f"greenuni 0.1.0 (not compiled, Python {platform.python_version()}): GREENUNI_PURE is set "
        "False False"
    )


def test_no_module_is_compiled_where_the_sources_were_chosen() -> None:
    script = (
        "import sys, greenuni.wsgi, greenuni.asgi, greenuni.arbiter;"
        "print([name for name, module in sys.modules.items() if name.startswith('greenuni.')"
        " and not module.__file__.endswith('.py')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"GREENUNI_PURE": "1"},
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("is_compiled", "environment", "implementation", "end"),
    [
        (True, "", "cpython", "(compiled, Python {})"),
        (False, "1", "cpython", "(not compiled, Python {}): GREENUNI_PURE is set"),
        (False, "", "pypy", "(not compiled, Python {})"),
        (
            False,
            "",
            "cpython",
            "(not compiled, Python {}): it is faster if it is installed where a C compiler is "
            "(apt-get install gcc python3-dev)",
        ),
    ],
)
def test_summary_says_how_and_what_to_do(
    is_compiled: bool,
    environment: str,
    implementation: str,
    end: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "compiled", lambda: is_compiled)
    monkeypatch.setenv("GREENUNI_PURE", environment)
    monkeypatch.setattr(sys.implementation, "name", implementation)
    assert build.summary() == "greenuni 0.1.0 " + end.format(platform.python_version())
