"""The corpus against the wire: each case whole, in octets, in random pieces, with more behind it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest

from greenuni.errors import RemoteProtocolError
from greenuni.http import ERROR, MUST_CLOSE
from tests.corpus import Case, ExpectedRequest, Verdict, iter_pieces, load_corpus, parse_case
from tests.http.conversation import TRAILING, Conversation, Exchange

CORPUS = load_corpus()
SURVIVING = [case for case in CORPUS if case.verdict is Verdict.SURVIVES]
INCOMPLETE = [case for case in CORPUS if "incomplete" in case.verdict.value]
CLOSING = [case for case in CORPUS if case.must_close]
REFUSED = [case for case in CORPUS if case.status is not None]
RANDOM_SPLITS = 20

each_case = pytest.mark.parametrize("case", CORPUS, ids=str)


def converse(pieces: Iterable[bytes], engine: str) -> Conversation:
    return Conversation(engine).feed(pieces)


def check(case: Case, conversation: Conversation) -> None:
    assert len(conversation.exchanges) == len(case.requests), conversation.refusal
    for expected, exchange in zip(case.requests, conversation.exchanges, strict=True):
        check_request(expected, exchange)
    for exchange in conversation.exchanges[: len(case.answered)]:
        assert exchange.is_whole
    assert conversation.statuses == case.statuses
    assert conversation.is_over == case.must_close
    if case.status is not None:
        assert str(conversation.refusal) == case.detail
    if case.must_close:
        assert conversation.connection.our_state is MUST_CLOSE
        assert b"\r\nConnection: close\r\n" in conversation.output


def check_request(expected: ExpectedRequest, exchange: Exchange) -> None:
    request = exchange.request
    assert (request.method, request.target) == (expected.method, expected.target)
    assert request.http_version == expected.version
    for attribute in ("path", "raw_path", "query"):
        if (value := getattr(expected, attribute)) is not None:
            assert getattr(request, attribute) == value
    names = [name for name, _ in request.headers]
    for name, _ in expected.fields:
        wanted = [pair for pair in expected.fields if pair[0] == name]
        found = [pair for pair in request.headers if pair[0] == name]
        assert found[: len(wanted)] == wanted
    assert not set(expected.absent) & set(names)
    assert exchange.body == expected.body
    assert exchange.trailers == expected.trailers


@each_case
def test_whole(case: Case, engine: str) -> None:
    check(case, converse([case.raw], engine))


@each_case
def test_octet_by_octet(case: Case, engine: str) -> None:
    conversation = converse(iter_pieces(case.raw, 1), engine)
    check(case, conversation)
    waited = [exchange.waited for exchange in conversation.exchanges]
    assert waited == [expected.waits for expected in case.requests]


@each_case
def test_in_random_pieces(case: Case, engine: str) -> None:
    generator = random.Random(case.name)
    for _ in range(RANDOM_SPLITS):
        cuts = sorted(generator.randrange(len(case.raw) + 1) for _ in range(generator.randrange(8)))
        edges = [0, *cuts, len(case.raw)]
        pieces = [case.raw[a:b] for a, b in itertools.pairwise(edges) if a < b]
        check(case, converse(pieces, engine))


@pytest.mark.parametrize("case", SURVIVING, ids=str)
@pytest.mark.parametrize("size", [1, 1 << 20], ids=["octets", "whole"])
def test_the_next_request_is_read(case: Case, size: int, engine: str) -> None:
    conversation = converse(iter_pieces(case.raw + TRAILING, size), engine)
    assert len(conversation.exchanges) == len(case.requests) + 1
    assert conversation.exchanges[-1].request.target == b"/trailing"
    assert conversation.exchanges[-1].request.headers == [(b"host", b"trailing.example")]


@pytest.mark.parametrize("case", CLOSING, ids=str)
@pytest.mark.parametrize("size", [1, 1 << 20], ids=["octets", "whole"])
def test_nothing_more_is_read(case: Case, size: int, engine: str) -> None:
    check(case, converse(iter_pieces(case.raw + b"\r\n\r\n" + TRAILING, size), engine))


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_refused_connection_stays_refused(case: Case, engine: str) -> None:
    connection = converse([case.raw], engine).connection
    assert connection.their_state is ERROR
    for data in (TRAILING, b"", b""):
        connection.receive_data(data)
        with pytest.raises(RemoteProtocolError) as caught:
            connection.next_event()
        assert caught.value.status == case.status


@pytest.mark.parametrize("case", SURVIVING, ids=str)
def test_the_end_of_the_peer_after_a_case(case: Case, engine: str) -> None:
    conversation = converse([case.raw, b""], engine)
    assert conversation.refusal is None
    assert conversation.is_over


@pytest.mark.parametrize("case", INCOMPLETE, ids=str)
def test_the_end_of_the_peer_within_a_request(case: Case, engine: str) -> None:
    conversation = converse([case.raw, b""], engine)
    if case.raw == b"\r\n":
        assert conversation.refusal is None
    else:
        assert conversation.refusal is not None
        assert conversation.refusal.status == 400


def test_the_corpus_is_worth_its_name() -> None:
    assert len(CORPUS) > 200
    assert {case.status for case in CORPUS} == {None, 400, 413, 414, 417, 431, 501, 505}
    assert {case.verdict for case in CORPUS} == set(Verdict)
    assert all(len(case.reason) > 10 for case in CORPUS)


@pytest.mark.parametrize(
    "text",
    [
        b"# why\n> a\nsurvives\nsurvives",
        b"# why\n> a\n",
        b"# why\nsurvives",
        b"> a\nsurvives",
        b"# why\n> a\nrefuse",
        b"# why\n> a\nsurvives 200",
        b"# why\n> a\nperhaps",
        b"# why\n> a\n  body x\nsurvives",
        b"# why\n> a\nrequest GET /\n  bodie x\nsurvives",
    ],
)
def test_a_case_with_a_mistake_is_no_case(text: bytes) -> None:
    with pytest.raises(ValueError, match="mistaken"):
        parse_case("mistaken", text)


def test_escapes() -> None:
    case = parse_case(
        "escapes",
        rb"""# Every escape.
> \r\n\t\s\0\xfe\\\{2*a\x00}
survives""",
    )
    assert case.raw == b"\r\n\t \0\xfe\\a\0a\0"
