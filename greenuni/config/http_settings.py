"""Settings of the connections: how long one may wait, how large a message may be, whom to believe.

What governs a request head is for the whole server: until it is read, nobody knows which pool it is for.
"""

from __future__ import annotations

from greenuni.config.declare import Alias, Applies, Difference, Scope, setting
from greenuni.config.kinds import Choice, ProxyAddresses, RootPath, Seconds, Switch, Text, Whole

FIELDS_MAXIMUM = 32768  # as gunicorn, and as greenuni.http.Limits


class TimeSettings:
    """How long to wait for what."""

    timeout: float = setting(
        30.0,
        Seconds(),
        "-t",
        "--timeout",
        help="replace a worker whose loop has not turned for this long; 0 never does. A request may take "
        "longer",
        differs=Difference(
            "30, and in a sync worker a limit for requests", "a long request is no hung worker"
        ),
    )
    boot_timeout: float = setting(
        0.0,
        Seconds(),
        "--boot-timeout",
        help="end a worker that is not ready so long after its start; until then it imports, loads models "
        "and runs the lifespan startup. 0 waits for ever. The log has a line every 30 s",
    )
    graceful_timeout: float = setting(
        30.0,
        Seconds(),
        "--graceful-timeout",
        help="time that requests in progress get when a worker is told to leave; 0 waits for them. An ASGI "
        "application receives http.disconnect 2 s before its end and is cancelled 1 s before; a time under "
        "4 s is shared out, a half and a quarter of it before",
        aliases=(Alias("uvicorn", "--timeout-graceful-shutdown"),),
    )
    drain_delay: float = setting(
        0.0,
        Seconds(),
        "--drain-delay",
        help="when the server is told to end, go on accepting for this long, while load balancers learn of "
        "it; responses say Connection: close. It is a part of graceful_timeout",
    )
    stream_drain: float = setting(
        10.0,
        Seconds(),
        "--stream-drain",
        help="time from the start of a drain until streams of events (text/event-stream) are ended: an ASGI "
        "application receives http.disconnect, a WSGI iterable is closed when it yields. 0 leaves them "
        "until graceful_timeout ends",
    )
    shutdown_timeout: float = setting(
        5.0,
        Seconds(),
        "--shutdown-timeout",
        help="time that the lifespan shutdown has in any case, beyond graceful_timeout if requests have "
        "used that up",
        applies=Applies.ASGI_APPLICATION,
    )
    keepalive: float = setting(
        75.0,
        Seconds(),
        "--keep-alive",
        help="close a connection that has been idle for this long; 0 closes after each response. Keep it "
        "longer than the load balancer's",
        aliases=(Alias("uvicorn", "--timeout-keep-alive"),),
        differs=Difference(
            "2",
            "a proxy that keeps connections for 60 s must not be the second to close one: it answers 502",
        ),
    )
    header_timeout: float = setting(
        20.0,
        Seconds(),
        "--header-timeout",
        help="time for a whole request head to arrive; 0 waits for ever",
        scope=Scope.SERVER,
    )
    body_timeout: float = setting(
        30.0,
        Seconds(),
        "--body-timeout",
        help="time for a request body to arrive, which body_min_rate extends; 0 waits for ever",
    )
    body_min_rate: int = setting(
        500,
        Whole(1, metavar="BYTES"),
        "--body-min-rate",
        help="a body that arrives at least this fast is never too late",
        unit="bytes a second",
    )
    send_timeout: float = setting(
        60.0,
        Seconds(),
        "--send-timeout",
        help="close a connection whose client has taken nothing for this long; 0 waits for ever",
    )


class LimitSettings:
    """How large a request may be, and where large bodies wait."""

    limit_request_line: int = setting(
        4094,
        Whole(metavar="BYTES"),
        "--limit-request-line",
        help="longest request line; 0 has no limit of its own",
        unit="bytes",
        scope=Scope.SERVER,
    )
    limit_request_fields: int = setting(
        100,
        Whole(0, FIELDS_MAXIMUM),
        "--limit-request-fields",
        help=f"most header fields in a request; 0 is {FIELDS_MAXIMUM}",
        unit="fields",
        scope=Scope.SERVER,
    )
    limit_request_field_size: int = setting(
        8190,
        Whole(metavar="BYTES"),
        "--limit-request-field_size",
        "--limit-request-field-size",
        help="longest header field; 0 has no limit of its own",
        unit="bytes",
        scope=Scope.SERVER,
    )
    limit_request_body: int = setting(
        2147483648,
        Whole(metavar="BYTES"),
        "--limit-request-body",
        help="largest request body, 413 above it; 0 has no limit",
        unit="bytes",
        differs=Difference("none", "a body without a limit fills the disk"),
    )
    spool_memory: int = setting(
        524288,
        Whole(metavar="BYTES"),
        "--spool-memory",
        help="a body up to this size waits in memory, a larger one in a temporary file",
        unit="bytes",
        applies=Applies.WSGI_WORKER,
    )
    spool_limit: int = setting(
        1073741824,
        Whole(metavar="BYTES"),
        "--spool-limit",
        help="a WSGI response of which the client has left this much untaken makes the application wait",
        unit="bytes",
        applies=Applies.WSGI_WORKER,
    )
    tmp_upload_dir: str | None = setting(
        None,
        Text("PATH", "path"),
        "--tmp-upload-dir",
        help="directory for the temporary files of large bodies; the system's when not set",
        applies=Applies.WSGI_WORKER,
    )
    sendfile: bool = setting(
        True, Switch(), "--sendfile", help="let the kernel copy files to sockets, where it can"
    )


class EngineSettings:
    """What reads requests."""

    http_engine: str = setting(
        "auto",
        Choice("auto", "h11", "fast"),
        "--http-engine",
        help="what parses HTTP/1.1: fast, which is compiled, or h11; auto is fast where it is built. Both "
        "accept and refuse the same",
    )


class ProxySettings:
    """What stands in front of the server."""

    forwarded_allow_ips: str = setting(
        "127.0.0.1,::1",
        ProxyAddresses(),
        "--forwarded-allow-ips",
        help="proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; unix is "
        "whoever connects to a Unix socket, * is everybody",
        environment="FORWARDED_ALLOW_IPS",
    )
    root_path: str = setting(
        "", RootPath(), "--root-path", help="path under which a proxy mounts the application"
    )
