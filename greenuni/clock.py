"""Time, once a second: what a response head and a deadline need, without a system call each."""

from __future__ import annotations

import time
from email.utils import formatdate


class Clock:
    """The Date header value, formatted anew at most once a second.

    ``date()`` costs one ``time.time()`` and a comparison when the second has not changed.
    """

    __slots__ = ("_date", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._date = b""

    def date(self) -> bytes:
        """An IMF-fixdate (RFC 9110 5.6.7), as bytes: ``b"Sun, 06 Nov 1994 08:49:37 GMT"``."""
        second = int(time.time())
        if second != self._second:
            self._date = formatdate(second, usegmt=True).encode("ascii")
            self._second = second
        return self._date

    def __repr__(self) -> str:
        return f"<Clock {self._date.decode('ascii')!r}>"
