"""How long calls may take, and whether anybody waits for them: looked at once a tick, for all that run.

    request-timeout        from the call of the application to the end of its response
    queue-timeout          from the request to the call of the application, if it waits for a thread
    stream-idle-timeout    from one chunk of a response to the next; while the client is what is waited
                           for, the clock stands
    sse-keepalive          how long a stream of events may be silent before it gets a comment

A call of WSGI cannot be cancelled. So its client is answered by 504, or cut off if the response has begun;
whatever the call still sends fails in it; and the worker asks to be replaced. One that does not return
ends with its worker, and its stack is in the log.

When the worker is to end, streams of events are ended after ``stream-drain``, at their next chunk, and a
call that holds the only thread ends by force when ``graceful-timeout`` is over.

With threads this runs in the loop. With one thread the application is inside the loop, and it is the
watcher's thread that comes here, while the main thread may finish the very call that is looked at. Who has
a call is decided by `Call.give_up`; until its client has been answered, nobody closes the descriptor
(`settle`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from math import inf
from time import monotonic

from greenuni.deadlines import TOO_BUSY, TOO_LATE, Progress
from greenuni.http.refusal import error_response
from greenuni.shell import Seat
from greenuni.sockets import reset_on_close
from greenuni.transfer import send
from greenuni.wsgi.application import TIMED_OUT, Call
from greenuni.wsgi.gateway import Gateway
from greenuni.wsgi.runner import describe

KILLED_STATUS = 1

# Seconds: the client of a shorter call is not looked after. One that has closed only its sending half is
# then answered as ever, unless it has to wait.
GLANCE_AFTER = 1.0


Calls = Callable[[], list[tuple[Call, float]]]


class Overseer:
    """Looks after the calls of one worker. ``calls`` gives those that run, with their beginning."""

    def __init__(self, seat: Seat, calls: Calls, gateway: Gateway) -> None:
        config = seat.config
        self._seat = seat
        self._calls = calls
        self._gateway = gateway
        self._is_inline = config.threads == 1
        self._request_timeout = config.request_timeout or inf
        self._queue_timeout = config.queue_timeout or inf
        self._idle_timeout = config.stream_idle_timeout or inf
        self._keepalive = config.sse_keepalive or inf
        self._grace = config.graceful_timeout or inf
        self._stream_drain = config.drain_delay + (config.stream_drain or inf)
        self._left_at = inf  # monotonic seconds; when the worker was seen to leave
        self._streams: dict[Call, Progress] = {}
        # Monotonic seconds; if the call of the only thread has not returned then.
        self._kill_at = inf
        self._has_retired = False
        self._answering = threading.Lock()
        self.disconnects = 0  # clients that have gone before they were answered

    def __repr__(self) -> str:
        return f"<Overseer disconnects={self.disconnects}{' retired' * self._has_retired}>"

    def check(self) -> None:
        """Once a tick."""
        now = monotonic()
        if self._left_at == inf and self._gateway.is_leaving:
            self._left_at = now
        streams: dict[Call, Progress] = {}
        for call, since in self._calls():
            if self._is_inline and now >= min(self._kill_at, self._left_at + self._grace):
                self._kill(call, since)
            if call.outcome is TIMED_OUT:
                continue
            if now >= self._left_at + self._stream_drain:
                call.dismiss()
            if now - since >= GLANCE_AFTER and not call.control.is_unwanted:
                self._look_for_client(call, since)
            if not call.is_begun:
                if now >= since + self._queue_timeout:
                    self._turn_away(call)
            elif now >= max(since + self._request_timeout, call.control.extended_until):
                self._expire(call, since, "request-timeout")
            elif call.responder.started:
                progress = streams[call] = self._streams.get(call) or Progress(now)
                progress.note(call.responder.body_bytes, call.output.pending, now)
                self._look_at_stream(call, since, progress, now)
        self._streams = streams

    def _look_at_stream(self, call: Call, since: float, progress: Progress, now: float) -> None:
        if call.responder.head_sent and now >= progress.since + self._idle_timeout:
            self._expire(call, since, "stream-idle-timeout")
        elif now >= progress.quiet_since + self._keepalive and call.comment():
            progress.commented(call.responder.body_bytes, now)

    def settle(self) -> None:
        """Wait until the client of a call that was given up has been answered."""
        with self._answering:
            pass

    def log_stacks(self) -> None:
        """Where the calls are that a drain has not waited for."""
        if self._calls():
            self._seat.log.warning("Calls that do not return:\n%s", _stacks(self._is_inline))

    def _look_for_client(self, call: Call, since: float) -> None:
        if call.control.disconnected:
            self.disconnects += 1
            self._seat.log.debug("The client has gone: %s", describe(call, since))

    def _turn_away(self, call: Call) -> None:
        """It has waited for a thread for too long, and will not be run."""
        with self._answering:
            if call.give_up():
                self._answer(call, 503, TOO_BUSY)

    def _expire(self, call: Call, since: float, setting: str) -> None:
        with self._answering:
            if not call.give_up():
                return  # it has just returned
            self._answer(call, 504, TOO_LATE)
        log = self._seat.log
        log.warning("Given up, as its time is over (%s): %s", setting, describe(call, since))
        self._kill_at = monotonic() + self._grace
        if not self._has_retired:
            self._has_retired = True
            self._seat.retire(setting)

    def _answer(self, call: Call, status: int, detail: str) -> None:
        """Tell the client, if there is still place for that, and let it see the end."""
        fd, responder, request = call.output.fd, call.responder, call.request
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as client:
            if not responder.head_sent:
                has_content = request.method != b"HEAD"
                date = self._gateway.clock.date()
                send(fd, error_response(status, detail, date, wants_body=has_content))
            elif request.http_version == b"1.0":
                # An orderly end is how a response without a length ends. It is reset when it is closed.
                reset_on_close(client)
                return
            client.shutdown(socket.SHUT_RDWR)

    def _kill(self, call: Call, since: float) -> None:
        self._seat.log.error(
            "Killed, as a call does not return: %s\n%s",
            describe(call, since),
            _stacks(self._is_inline),
        )
        os._exit(KILLED_STATUS)


def _stacks(is_inline: bool) -> str:
    """The stacks of the threads that run the application."""
    frames = sys._current_frames()
    lines = []
    for thread in threading.enumerate():
        is_ours = thread.name.startswith("greenuni-") and thread.name != "greenuni-watcher"
        wanted = thread is threading.main_thread() if is_inline else is_ours
        frame = frames.get(thread.ident or 0)
        if wanted and frame is not None and thread is not threading.current_thread():
            lines += [f"Thread {thread.name}:\n", *traceback.format_stack(frame)]
    return "".join(lines)
