"""The productions of RFC 9110 and RFC 9112 that more than one module needs, as bytes patterns.

Every pattern is written so that at each octet at most one branch can go on. So matching is linear
in the input, for hostile input too: there is no nested or adjacent repetition over the same octets.
"""

from __future__ import annotations

import re

TOKEN_TEXT = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# field-value without obs-fold: HTAB, SP, VCHAR and obs-text (RFC 9110 5.5)
_FIELD_VALUE_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
FIELD_LINE_TEXT = TOKEN_TEXT + rb":" + _FIELD_VALUE_TEXT

TOKEN = re.compile(TOKEN_TEXT)
FIELD_LINE = re.compile(FIELD_LINE_TEXT)

# What makes an octet string no field-value: any control but HTAB.
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# A length that a signed 64 bit number holds, give or take: what is longer is refused unread, so
# that nobody behind us can wrap around where Python does not.
LENGTH = re.compile(rb"[0-9]{1,19}")

_PORT = rb"(?:[0-9]{0,4}|[0-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_REG_NAME = rb"(?:[0-9A-Za-z\-._~]|%[0-9A-Fa-f]{2})+"
_IP_LITERAL = rb"\[[0-9A-Fa-f:.]{2,45}\]"
# uri-host [ ":" port ] (RFC 9110 7.2) without the sub-delims that RFC 3986 3.2.2 has in reg-name
HOST = re.compile(rb"(?:" + _REG_NAME + rb"|" + _IP_LITERAL + rb")(?::" + _PORT + rb")?")
