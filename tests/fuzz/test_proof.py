"""The comparison can fail: twins that are broken in one small place are found out."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from tests.fuzz.reading import Arrival, Difference, compare_reading
from tests.fuzz.request_strategies import arrivals
from tests.fuzz.response_strategies import answers
from tests.fuzz.twins import REFERENCE, SUBJECTS, Twin, load_sources
from tests.fuzz.writing import Answer, compare_writing

ENOUGH = settings(max_examples=3000, phases=[Phase.generate], report_multiple_bugs=False)


def broken_twin(module: str, name: str, value: Any) -> Twin:
    """A twin in whose ``module`` the constant or function ``name`` is ``value``."""
    twin = Twin("broken", load_sources())
    target = getattr(twin.http, module)
    assert hasattr(target, name)
    setattr(target, name, value)
    return twin


def test_the_reference_is_source_and_the_subject_is_not_the_same() -> None:
    again = Twin("again", load_sources())
    for twin in (REFERENCE, again):
        assert str(twin.http.connection.__file__).endswith("greenuni/http/connection.py")
    assert len({twin.http.Connection for twin in (REFERENCE, again)}) == 2


def test_the_compiled_engine_is_compared() -> None:
    """Where it must have been built, nobody may pass by leaving it out."""
    is_required = os.environ.get("GREENUNI_BUILD") == "required"
    if is_required and not os.environ.get("GREENUNI_PURE"):
        assert "fast" in [twin.engine for twin in SUBJECTS]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("request", "_CONNECTION", b"\r\nconnection: "),
        ("request", "_EXPECT", b"\r\nExpect:"),
        ("target", "decoded", bytes),
        ("chunked", "_SIZE_LINE", re.compile(rb"([0-9A-Fa-f]+)[^\r]*")),
        ("section", "CONTROL", re.compile(rb"[\x01-\x08\x0a-\x1f\x7f]")),
    ],
)
def test_a_broken_reader_is_found(module: str, name: str, value: Any) -> None:
    twin = broken_twin(module, name, value)

    @ENOUGH
    @given(arrivals())
    def compare(arrival: Arrival) -> None:
        compare_reading(arrival, [twin])

    with pytest.raises(Difference):
        compare()


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("fields", "CONTROL", re.compile(rb"[\r\n]")),
        ("fields", "LENGTH", re.compile(rb"\+?[0-9]+")),
        ("responder", "SMALL", 16385),
    ],
)
def test_a_broken_writer_is_found(module: str, name: str, value: Any) -> None:
    twin = broken_twin(module, name, value)

    @ENOUGH
    @given(answers())
    def compare(answer: Answer) -> None:
        compare_writing(answer, [twin])

    with pytest.raises(Difference):
        compare()


def test_a_wrong_type_is_a_difference() -> None:
    twin = Twin("broken", load_sources())
    read_request = twin.http.reference.read_request

    def read_with_number(*arguments: Any) -> Any:
        request = read_request(*arguments)
        request.keep_alive = int(request.keep_alive)
        return request

    twin.http.reference.read_request = read_with_number
    with pytest.raises(Difference, match=r"False, 1, False"):
        compare_reading(Arrival((b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",)), [twin])
