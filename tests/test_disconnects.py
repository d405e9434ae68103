"""The rules for requests whose client has gone."""

from __future__ import annotations

import math

import pytest

from greenuni.disconnects import DisconnectPolicy, DisconnectRule, parse_disconnect_rule


@pytest.mark.parametrize(
    ("text", "rule", "spelled"),
    [
        ("event", DisconnectRule("", math.inf), "event"),
        ("cancel", DisconnectRule("", 0.0), "cancel:0"),
        (" Cancel:2.5 ", DisconnectRule("", 2.5), "cancel:2.5"),
        ("/chat/=cancel:2", DisconnectRule("/chat", 2.0), "/chat=cancel:2"),
        ("/a=b=event", DisconnectRule("/a=b", math.inf), "/a=b=event"),
    ],
)
def test_rules_are_read_and_written(text: str, rule: DisconnectRule, spelled: str) -> None:
    assert parse_disconnect_rule(text) == rule
    assert str(rule) == spelled
    assert parse_disconnect_rule(spelled) == rule


@pytest.mark.parametrize(
    "text", ["", "kill", "event:2", "cancel:", "cancel:-1", "cancel:soon", "cancel:nan", "a=event"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_disconnect_rule(text)


def test_the_longest_path_decides() -> None:
    policy = DisconnectPolicy(("cancel:5", "/chat=cancel:2", "/chat/quiet=event"))
    graces = [policy.grace(path) for path in ("/", "/chatter", "/chat", "/chat/1", "/chat/quiet/x")]
    assert graces == [5, 5, 2, 2, math.inf]


def test_without_a_rule_for_a_path_it_is_only_told() -> None:
    assert DisconnectPolicy(("/chat=cancel",)).grace("/other") == math.inf
