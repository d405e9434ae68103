"""Settings of WebSocket connections. Names are uvicorn's where it has them."""

from __future__ import annotations

from greenuni.config.declare import Alias, Applies, setting
from greenuni.config.kinds import Seconds, Switch, Whole


class LeavingCode(Whole):
    """A close code that says why a server goes (RFC 6455 7.4, and its registry)."""

    def __init__(self) -> None:
        super().__init__(1001, 1012)
        self.metavar = "1012|1001"
        self.type_name = "1012 or 1001"

    def parse(self, raw: object) -> int:
        code = super().parse(raw)
        if code not in (1001, 1012):
            raise ValueError(f"{code} is neither 1012 nor 1001")
        return code


class WebSocketSettings:
    """How large, how many, how long."""

    ws_max_size: int = setting(
        16777216,
        Whole(metavar="BYTES"),
        "--ws-max-size",
        help="largest WebSocket message, its fragments together and inflated; a larger one ends the "
        "connection with 1009; 0 has no limit",
        unit="bytes",
        aliases=(Alias("gunicorn", "--websocket-max-message-size"),),
        applies=Applies.ASGI,
    )
    ws_max_queue: int = setting(
        32,
        Whole(1),
        "--ws-max-queue",
        help="WebSocket messages of one client that may wait for the application before its socket is read "
        "no more; 64 KiB of them are enough, too",
        unit="messages",
        applies=Applies.ASGI,
    )
    ws_ping_interval: float = setting(
        20.0,
        Seconds(),
        "--ws-ping-interval",
        help="time between pings to a WebSocket client; 0 sends none",
        applies=Applies.ASGI,
    )
    ws_ping_timeout: float = setting(
        20.0,
        Seconds(),
        "--ws-ping-timeout",
        help="time for the pong, after which the connection ends with 1011; only time counts in which it "
        "could have been read; 0 waits for ever",
        applies=Applies.ASGI,
    )
    ws_per_message_deflate: bool = setting(
        True,
        Switch(),
        "--ws-per-message-deflate",
        help="compress WebSocket messages for clients that offer it (RFC 7692)",
        applies=Applies.ASGI,
    )
    ws_drain_code: int = setting(
        1012,
        LeavingCode(),
        "--ws-drain-code",
        help="close code for WebSocket clients of a worker that leaves: 1012, service restart, or 1001, "
        "going away",
        applies=Applies.ASGI,
    )
