"""The corpus, cut in every way, for all twins."""

from __future__ import annotations

import pytest

from tests.corpus import Case, iter_pieces, load_corpus
from tests.fuzz.reading import Answering, Arrival, compare_reading
from tests.http.conversation import TRAILING

CORPUS = load_corpus()
SHORT = 150  # octets of a case that is cut at every place

each_case = pytest.mark.parametrize("case", CORPUS, ids=str)


@each_case
def test_whole(case: Case) -> None:
    for raw in (case.raw, TRAILING + case.raw):
        for answering in Answering:
            compare_reading(Arrival((raw, TRAILING, b""), answering=answering))


@each_case
def test_in_pieces(case: Case) -> None:
    size = 1 if len(case.raw) < 2000 else 997
    compare_reading(Arrival((*iter_pieces(case.raw, size), TRAILING)))


@pytest.mark.parametrize("case", [case for case in CORPUS if len(case.raw) < SHORT], ids=str)
def test_cut_at_every_place(case: Case) -> None:
    for place in range(1, len(case.raw)):
        compare_reading(Arrival((case.raw[:place], case.raw[place:])))
