"""What becomes of a request whose client has gone: the rules of ``on-disconnect``.

A rule is ``event``, ``cancel`` or ``cancel:SECONDS``, and may have a path in front: ``/chat=cancel:2``. The
longest path wins, on the boundary of a segment; a rule without one is for all others.

This is a leaf: configuration and shells read the rules by the same function.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class DisconnectRule(NamedTuple):
    """``str()`` of it is what `parse_disconnect_rule` takes."""

    prefix: str  # "/chat", without a slash at its end; empty is every path
    grace: float  # seconds until the call is cancelled; infinite when it is only told

    def __str__(self) -> str:
        action = "event" if self.grace == math.inf else f"cancel:{self.grace:g}"
        return f"{self.prefix}={action}" if self.prefix else action


def parse_disconnect_rule(text: str) -> DisconnectRule:
    """The rule that ``text`` spells. Raises ``ValueError`` with the reason."""
    where, equals, action = text.strip().rpartition("=")
    if equals and not where.startswith("/"):
        raise ValueError(f"{text!r}: the path {where!r} does not start with a slash")
    word, colon, seconds = action.strip().lower().partition(":")
    if word == "event" and not colon:
        return DisconnectRule(where.rstrip("/"), math.inf)
    if word != "cancel":
        raise ValueError(
            f"{text!r} is not event, cancel, cancel:SECONDS or /path= and one of these"
        )
    return DisconnectRule(where.rstrip("/"), _grace(text, seconds) if colon else 0.0)


def _grace(text: str, seconds: str) -> float:
    try:
        grace = float(seconds)
    except ValueError:
        grace = math.nan
    if not 0 <= grace < math.inf:
        raise ValueError(f"{text!r}: {seconds!r} is not a number of seconds from 0 on")
    return grace


class DisconnectPolicy:
    """The rules of one pool, asked once for each client that has gone."""

    def __init__(self, rules: Sequence[str]) -> None:
        parsed = [parse_disconnect_rule(rule) for rule in rules]
        self._rules = sorted(parsed, key=lambda rule: len(rule.prefix), reverse=True)

    def __repr__(self) -> str:
        return f"<DisconnectPolicy {', '.join(map(str, self._rules))}>"

    def grace(self, path: str) -> float:
        """Seconds that a call has left when its client has gone; infinite when it is not ended."""
        for prefix, grace in self._rules:
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
                return grace
            if not prefix:
                return grace
        return math.inf
