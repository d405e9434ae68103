"""Which engine a process uses."""

from __future__ import annotations

import pytest

from greenuni.http.engine import choose_engine


def test_the_reference_is_always_there() -> None:
    choice = choose_engine("h11")
    assert (choice.name, choice.reason) == ("h11", "")


def test_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match="'quick' is no engine: one of auto, h11, fast"):
        choose_engine("quick")
