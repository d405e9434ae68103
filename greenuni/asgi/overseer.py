"""How long requests may take: looked at once a tick, for all that run. None of them arms a timer.

    request-timeout        from the first byte of a request to the end of its response
    stream-idle-timeout    from one chunk of a response to the next; while the client is what is waited
                           for, the clock stands
    sse-keepalive          how long a stream of events may be silent before it gets a comment

What they end is answered by 504 if nothing has been sent, and broken off otherwise; its task is cancelled.
"""

from __future__ import annotations

from math import inf

from greenuni.asgi.call import Call
from greenuni.asgi.service import Service
from greenuni.config import Config
from greenuni.deadlines import Progress
from greenuni.shell import LongRequest


class Overseer:
    """Looks after the calls of one worker; see the module. ``maybe_new`` where nothing asks for it."""

    def __init__(self, service: Service, config: Config) -> None:
        self._service = service
        self._log = service.seat.log
        self._request_timeout = config.request_timeout or inf
        self._idle_timeout = config.stream_idle_timeout or inf
        self._keepalive = config.sse_keepalive or inf
        self._streams: dict[Call, Progress] = {}

    @classmethod
    def maybe_new(cls, service: Service) -> Overseer | None:
        config = service.seat.config
        is_needed = config.request_timeout or config.stream_idle_timeout or config.sse_keepalive
        return cls(service, config) if is_needed else None

    def __repr__(self) -> str:
        return f"<Overseer of {len(self._streams)} streams>"

    def check(self, now: float) -> None:
        """End the requests that have taken too long."""
        streams: dict[Call, Progress] = {}
        for call in list(self._service.population.running):
            if not isinstance(call, Call) or call.is_over:
                continue
            if now >= call.deadline(self._request_timeout):
                self._expire(call, now, "request-timeout")
            elif call.reply.is_unfinished:
                progress = streams[call] = self._streams.get(call) or Progress(now)
                progress.note(call.reply.responder.body_bytes, call.channel.output.is_paused, now)
                self._look_at_stream(call, progress, now)
        self._streams = streams

    def _look_at_stream(self, call: Call, progress: Progress, now: float) -> None:
        if call.reply.is_streaming and now >= progress.since + self._idle_timeout:
            self._expire(call, now, "stream-idle-timeout")
        elif now >= progress.quiet_since + self._keepalive and _comment(call):
            progress.commented(call.reply.responder.body_bytes, now)

    def _expire(self, call: Call, now: float, setting: str) -> None:
        self._log.warning("Cancelled, as its time is over (%s): %s", setting, call.describe(now))
        call.expire()


def _comment(call: Call) -> bool:
    """Put a comment into a stream of events; False where there is no place for one."""
    parts = [] if call.has_lost_client else call.reply.comment()
    if parts:
        call.channel.output.write(parts)
    return bool(parts)


def long_requests(service: Service, thread: int, before: float) -> list[LongRequest]:
    """See `Seat`; ``thread`` is the loop's. A stream of events is meant to last."""
    return [
        LongRequest(call.title(), call.started_at, thread, call.task)
        for call in list(service.population.running)
        if isinstance(call, Call) and call.started_at <= before and not call.is_over
        if not call.is_event_stream
    ]
