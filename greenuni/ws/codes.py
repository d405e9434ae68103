"""Why a WebSocket ends: the codes of RFC 6455 7.4 and of the registry that it founded."""

from __future__ import annotations

import enum


class CloseCode(enum.IntEnum):
    """Those that we send or report ourselves."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NO_STATUS = 1005  # only reported: a close frame came without a code
    ABNORMAL = 1006  # only reported: the connection ended without a close frame
    INVALID_DATA = 1007
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012


# Of the codes below 3000, those that an endpoint may put into a frame.
_REGISTERED = frozenset((*range(1000, 1004), *range(1007, 1015)))


def is_sendable(code: int) -> bool:
    """Whether an endpoint may put ``code`` into a close frame (RFC 6455 7.4.1, 7.4.2)."""
    return code in _REGISTERED or 3000 <= code <= 4999
