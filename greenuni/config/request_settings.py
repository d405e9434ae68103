"""Settings of requests that the application works on for long: how long, and for whom."""

from __future__ import annotations

from greenuni.config.declare import Applies, setting
from greenuni.config.kinds import DisconnectRules, Paths, Seconds, Whole


class RequestSettings:
    """What one request may cost."""

    request_timeout: float = setting(
        0.0,
        Seconds(),
        "--request-timeout",
        help="time that a request may take until its response is complete; 0 has no limit. Then 504, or "
        "the end of a connection whose response has begun. An ASGI call is cancelled; a WSGI worker is "
        "replaced, and killed if its call does not return within graceful_timeout. The application may "
        "extend it",
    )
    stream_idle_timeout: float = setting(
        0.0,
        Seconds(),
        "--stream-idle-timeout",
        help="time that may pass between two chunks of a response; 0 has no limit. Then the request ends as "
        "after request_timeout",
    )
    queue_timeout: float = setting(
        0.0,
        Seconds(),
        "--queue-timeout",
        help="time that a request may wait for a slot (worker_connections), or a WSGI request for a thread; "
        "0 has no limit. Then 503 with Retry-After",
    )
    priority: tuple[str, ...] = setting(
        (),
        Paths(),
        "--priority",
        help="paths whose requests do not wait for a slot, such as health checks; up to 8 run beside all "
        "others",
        applies=Applies.ASGI,
    )
    max_connections: int = setting(
        0,
        Whole(),
        "--max-connections",
        help="connections that an ASGI worker holds at most, idle ones included; 0 is as many as it may have "
        "descriptors (ulimit -n), less 64",
        applies=Applies.ASGI,
    )
    sse_keepalive: float = setting(
        0.0,
        Seconds(),
        "--sse-keepalive",
        help="a stream of events (text/event-stream) that has been silent for this long gets a comment, "
        "which clients ignore, so that proxies do not cut it; and the fields X-Accel-Buffering: no and "
        "Cache-Control: no-cache if it lacks them. 0 changes nothing",
    )
    on_disconnect: tuple[str, ...] = setting(
        ("event",),
        DisconnectRules(),
        "--on-disconnect",
        help="what becomes of a request whose client has gone: event tells the application and leaves the "
        "rest to it; cancel, or cancel:SECONDS, ends it after that time. With a path in front, such as "
        "/chat=cancel:2, it is for that path and those below; the longest path decides",
        applies=Applies.ASGI,
    )
