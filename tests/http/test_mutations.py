"""Damaged requests, by the thousand: what comes out does not depend on how they were cut, and h11 agrees.

The damage is random with a fixed seed, so a failure comes again.
"""

from __future__ import annotations

import random

import h11
import pytest

from tests.corpus import Verdict, iter_pieces, load_corpus
from tests.http.conversation import Conversation

SEEDS = 8
MUTATIONS = 250  # for each seed
OCTETS = b"\r\n\0\t :;,\"'/?#%\\@[]0159afxX\x0b\x7f\x80\xff"
SNIPPETS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\nContent-Length: 5",
    b"\r\nHost: b",
    b"\r\nConnection: close",
    b"\r\nExpect: 100-continue",
    b"0\r\n\r\n",
    b"5\r\nabcde\r\n",
    b"HTTP/1.1",
    b"chunked",
]
GOOD = (Verdict.SURVIVES, Verdict.CLOSES)
CORPUS = [case.raw for case in load_corpus() if case.verdict in GOOD and len(case.raw) < 1000]


def damaged(raw: bytes, generator: random.Random) -> bytes:
    """One to three octets or snippets inserted, replaced, removed or repeated."""
    for _ in range(generator.randrange(1, 4)):
        at = generator.randrange(len(raw))
        until = min(len(raw), at + generator.choice([0, 0, 1, 1, 2, 20]))
        new = generator.choice(
            [bytes([generator.choice(OCTETS)]), generator.choice(SNIPPETS), b"", raw[at:until] * 2]
        )
        raw = raw[:at] + new + raw[until:] or b"x"
    return raw


def outcome(conversation: Conversation) -> list[tuple[object, ...]]:
    seen: list[tuple[object, ...]] = [
        (exchange.request.method, exchange.request.target, exchange.request.headers, exchange.body)
        for exchange in conversation.exchanges
    ]
    return [*seen, (conversation.refusal is not None, conversation.is_over)]


def by_h11(raw: bytes, count: int) -> list[tuple[object, ...]]:
    """What h11 alone makes of the first ``count`` requests."""
    seen: list[tuple[object, ...]] = []
    for _ in range(count):
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(raw.removeprefix(b"\r\n"))
        request = connection.next_event()
        assert isinstance(request, h11.Request), request
        body = b""
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage), event
        seen.append((request.method, request.target, list(request.headers), body))
        raw = connection.trailing_data[0]
    return seen


@pytest.mark.parametrize("seed", range(SEEDS))
def test_mutations(seed: int, engine: str) -> None:
    generator = random.Random(seed)
    accepted = 0
    for _ in range(MUTATIONS):
        raw = damaged(generator.choice(CORPUS), generator)
        whole = Conversation(engine).feed([raw])
        assert outcome(Conversation(engine).feed(iter_pieces(raw, 1))) == outcome(whole), raw
        assert outcome(Conversation(engine).feed(iter_pieces(raw, 7))) == outcome(whole), raw
        accepted += check_against_h11(raw, whole)
    assert accepted > MUTATIONS / 5  # else this tests nothing


def check_against_h11(raw: bytes, conversation: Conversation) -> int:
    """Every request that we took whole, h11 alone takes, too, and reads the same."""
    taken = [exchange for exchange in conversation.exchanges if exchange.is_whole]
    expected = by_h11(raw, len(taken))
    for exchange, (method, target, headers, body) in zip(taken, expected, strict=True):
        request = exchange.request
        assert (request.method, request.target, exchange.body) == (method, target, body), raw
        if request.target.startswith(b"/"):
            assert request.headers == headers, raw
    return len(taken)
