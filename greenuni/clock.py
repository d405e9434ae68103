"""Time, once a second: what a response head and a deadline need, without a system call each."""

from __future__ import annotations

from time import gmtime, time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def imf_fixdate(second: int) -> bytes:
    """A Unix time as RFC 9110 5.6.7 writes it: ``b"Sun, 06 Nov 1994 08:49:37 GMT"``.

    ``email.utils`` could do it, for more than a megabyte in every worker.
    """
    year, month, day, hour, minute, seconds, weekday, _, _ = gmtime(second)
    text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{seconds:02} GMT"
    return text.encode("ascii")


class Clock:
    """The Date header value, formatted anew at most once a second.

    ``date()`` costs one ``time.time()`` and a comparison when the second has not changed.
    """

    __slots__ = ("_date", "_second")

    def __init__(self) -> None:
        self._second = -1.0
        self._date = b""

    def date(self) -> bytes:
        """An IMF-fixdate (RFC 9110 5.6.7), as bytes: ``b"Sun, 06 Nov 1994 08:49:37 GMT"``."""
        now = time()
        if not 0.0 <= now - self._second < 1.0:
            second = int(now)
            self._date = imf_fixdate(second)
            self._second = second
        return self._date

    def __repr__(self) -> str:
        return f"<Clock {self._date.decode('ascii')!r}>"
