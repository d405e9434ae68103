"""Kinds of value that a setting may have: how text or a file's value becomes one, and how it is shown.

A kind is given what a source holds: text from the command line and the environment, a list when a flag
was repeated, any object from a Python or TOML file. ``parse`` returns the value that `Config` carries or
raises ``ValueError`` with a clause that is put behind the setting's name: ``'many' is not a whole number``.
No kind looks at the file system; what depends on a directory is checked after the merge, in ``checks``.
"""

from __future__ import annotations

import math
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from greenuni.config.address import parse_address
from greenuni.disconnects import parse_disconnect_rule
from greenuni.routing import check_distinct, parse_mount, parse_mounted

TRUE_WORDS = frozenset({"true", "yes", "on", "1"})
FALSE_WORDS = frozenset({"false", "no", "off", "0"})


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` is probably a slip of, or None."""
    import difflib  # for mistakes only; no process that serves keeps it in memory

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def spelled(raw: object) -> str:
    """What a source holds, for a message: a plain value as it is written, of other objects what they are."""
    if raw is None or isinstance(raw, str | int | float):
        return repr(raw)
    if isinstance(raw, list | tuple) and not raw:
        return "an empty list"
    name = "class" if isinstance(raw, type) else type(raw).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


class Kind:
    """Text, taken as it is; the base of the other kinds."""

    type_name = "text"
    metavar = "TEXT"
    repeatable = False  # a flag may be given several times, and all of them count
    file_only = False  # no text can spell it

    def parse(self, raw: object) -> Any:
        """The value that ``raw`` spells. Raises ``ValueError`` with the reason if it spells none."""
        if not isinstance(raw, str):
            raise ValueError(f"{spelled(raw)} is not text")
        return raw

    def show(self, value: Any) -> str:
        """``value`` as a reader would write it in a file."""
        if value is None:
            return "none"
        return value if isinstance(value, str) and value else repr(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Text(Kind):
    """Text that must not be empty, with a word for it in the help."""

    def __init__(self, metavar: str = "TEXT", type_name: str = "text") -> None:
        self.metavar = metavar
        self.type_name = type_name

    def parse(self, raw: object) -> str:
        text: str = super().parse(raw)
        if not text.strip():
            raise ValueError("is empty")
        return text


class Whole(Kind):
    """A whole number between two bounds, both included."""

    def __init__(self, least: int = 0, most: int | None = None, metavar: str = "N") -> None:
        self.least = least
        self.most = most
        self.metavar = metavar
        self.type_name = f"whole number from {least}" + ("" if most is None else f" to {most}")

    def parse(self, raw: object) -> int:
        number = self._number(raw)
        if number < self.least:
            raise ValueError(f"{number} is less than {self.least}")
        if self.most is not None and number > self.most:
            raise ValueError(f"{number} is more than {self.most}")
        return number

    def _number(self, raw: object) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?[0-9]+\s*", raw):
            return int(raw)
        raise ValueError(f"{spelled(raw)} is not a whole number")


class Workers(Whole):
    """A number of processes, or "auto", which the merge replaces by a number."""

    def __init__(self, least: int) -> None:
        super().__init__(least)
        self.type_name += ', or "auto"'

    def parse(self, raw: object) -> int | str:  # type: ignore[override]  # resolved by the merge
        if raw == "auto":
            return "auto"
        try:
            return super().parse(raw)
        except ValueError as reason:
            raise ValueError(f'{reason}; write a number from 1 on, or "auto"') from None


class FileMode(Whole):
    """Permission bits: 0o22, 022 and 18 in text; a number in a file."""

    def __init__(self) -> None:
        super().__init__(0, 0o777, "BITS")
        self.type_name = "permission bits"

    def _number(self, raw: object) -> int:
        if isinstance(raw, str) and re.fullmatch(r"0o?[0-7]+", raw):
            return int(raw.removeprefix("0o"), 8)
        return super()._number(raw)

    def show(self, value: int) -> str:
        return f"0o{value:o}" if value else "0"


class Seconds(Kind):
    """A length of time, 0 or more."""

    type_name = "seconds"
    metavar = "SECONDS"

    def parse(self, raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise ValueError(f"{spelled(raw)} is not a number of seconds")
        try:
            seconds = float(raw)
        except ValueError:
            raise ValueError(f"{spelled(raw)} is not a number of seconds") from None
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"{spelled(raw)} is not a number of seconds from 0 on")
        return seconds

    def show(self, value: float) -> str:
        return f"{value:g}"


class Size(Kind):
    """A number of bytes: 1500000, or with a suffix, 512M, 1.5 GiB. A suffix counts in powers of 1024."""

    type_name = "bytes, or a number with K, M or G"
    metavar = "SIZE"
    FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
    _SPELLING = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)

    def parse(self, raw: object) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
            return raw
        found = self._SPELLING.fullmatch(raw) if isinstance(raw, str) else None
        if found is None:
            raise ValueError(f"{spelled(raw)} is not a size: write bytes, or 512M, or 1.5G")
        return int(float(found[1]) * self.FACTORS[found[2].lower()])

    def show(self, value: int) -> str:
        for suffix in ("G", "M", "K"):
            factor = self.FACTORS[suffix.lower()]
            if value and value % factor == 0:
                return f"{value // factor}{suffix}"
        return str(value)


class Switch(Kind):
    """On or off. On the command line a switch takes no value; ``--no-...`` turns it off."""

    type_name = "true or false"
    metavar = ""

    def parse(self, raw: object) -> bool:
        if isinstance(raw, bool):
            return raw
        word = str(raw).strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise ValueError(f"{spelled(raw)} is neither true nor false")

    def show(self, value: bool) -> str:
        return "true" if value else "false"


class Choice(Kind):
    """One of a few words. ``synonyms`` are words of other servers that mean one of ours."""

    def __init__(self, *words: str, synonyms: Mapping[str, str] | None = None) -> None:
        self.words = words
        self.metavar = "|".join(words)
        self.synonyms = synonyms or {}
        self.type_name = ", ".join(words)

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(f"{spelled(raw)} is none of {self.type_name}")
        folded = raw.lower()
        word = self.synonyms.get(raw, self.synonyms.get(folded, folded))
        if word in self.words:
            return word
        raise ValueError(self._refusal(raw))

    def _refusal(self, word: str) -> str:
        guess = nearest(word.lower(), self.words)
        hint = f"; did you mean {guess!r}?" if guess else ""
        return f"{word!r} is none of {self.type_name}{hint}"


class WorkerClass(Choice):
    """How a worker runs the application, in our words and in those that people already write."""

    REFUSED = {
        "gevent": "run WSGI with --threads, or write the application for ASGI",
        "gevent_wsgi": "run WSGI with --threads, or write the application for ASGI",
        "gevent_pywsgi": "run WSGI with --threads, or write the application for ASGI",
        "eventlet": "run WSGI with --threads, or write the application for ASGI",
        "tornado": "Tornado applications bring their own server; run WSGI or ASGI here",
    }
    SYNONYMS = {
        "gunicorn.workers.sync.SyncWorker": "sync",
        "gunicorn.workers.gthread.ThreadWorker": "gthread",
        "gunicorn.workers.gasgi.ASGIWorker": "asgi",
        "uvicorn.workers.UvicornWorker": "asgi",
        "uvicorn.workers.UvicornH11Worker": "asgi",
        "uvicorn_worker.UvicornWorker": "asgi",
        "uvicorn_worker.UvicornH11Worker": "asgi",
    }

    def __init__(self) -> None:
        super().__init__("auto", "sync", "gthread", "asgi", synonyms=self.SYNONYMS)

    def _refusal(self, word: str) -> str:
        if word in self.REFUSED:
            return f"{word!r} workers are not supported: {self.REFUSED[word]}"
        if "." in word or ":" in word:
            return (
                f"{word!r} is a worker class of another server: leave it out, the interface of the "
                "application decides"
            )
        return super()._refusal(word)


class Words(Kind):
    """Several texts: a list in a file, a repeated flag."""

    type_name = "list of text"
    repeatable = True

    def parse(self, raw: object) -> tuple[str, ...]:
        return tuple(word for part in self._parts(raw) for word in self._split(part))

    def _parts(self, raw: object) -> Iterable[str]:
        parts = [raw] if isinstance(raw, str) else raw
        if not isinstance(parts, list | tuple):
            raise ValueError(f"{spelled(raw)} is not a list of text")
        for part in parts:
            if not isinstance(part, str):
                raise ValueError(f"{spelled(part)} in the list is not text")
        return parts

    def _split(self, part: str) -> Iterable[str]:
        return [part]

    def show(self, value: tuple[str, ...]) -> str:
        return ", ".join(value) if value else "none"


class Addresses(Words):
    """Addresses to listen on; commas separate several in one text."""

    type_name = "list of addresses"
    metavar = "ADDRESS"

    def parse(self, raw: object) -> tuple[str, ...]:
        addresses = super().parse(raw)
        if not addresses:
            raise ValueError("names no address")
        return addresses

    def _split(self, part: str) -> Iterable[str]:
        for text in part.split(","):
            parse_address(text)
            yield text.strip()


class Paths(Words):
    """Paths of requests; commas separate several in one text."""

    type_name = "list of paths"
    metavar = "PATH"

    def _split(self, part: str) -> Iterable[str]:
        for text in part.split(","):
            path = text.strip()
            if not path.startswith("/"):
                raise ValueError(f"{path!r} is not a path: it does not start with a slash")
            yield path


class DisconnectRules(Words):
    """What becomes of requests whose client has gone; commas separate several in one text."""

    type_name = "event, cancel, cancel:SECONDS, or /path= and one of these"
    metavar = "RULE"

    def parse(self, raw: object) -> tuple[str, ...]:
        rules = super().parse(raw)
        if not rules:
            raise ValueError("has no rule")
        return rules

    def _split(self, part: str) -> Iterable[str]:
        for text in part.split(","):
            yield str(parse_disconnect_rule(text))


class Host(Kind):
    """A host name or address without a port."""

    metavar = "HOST"
    type_name = "host name or address"

    def parse(self, raw: object) -> str:
        host = str(super().parse(raw)).strip()
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        if not host or host.count(":") == 1 or "/" in host:
            raise ValueError(
                f"{spelled(raw)} is not a host alone; host:port and unix:path go with --bind"
            )
        return host


class Environment(Words):
    """``NAME=value`` pairs; a table in a TOML file."""

    type_name = "list of NAME=value"
    metavar = "NAME=VALUE"

    def parse(self, raw: object) -> tuple[str, ...]:
        if isinstance(raw, Mapping):
            raw = [f"{name}={value}" for name, value in raw.items()]
        return super().parse(raw)

    def _split(self, part: str) -> Iterable[str]:
        name, equals, _ = part.partition("=")
        if not equals or not name or "\0" in part:
            raise ValueError(f"{part!r} is not NAME=value")
        return [part]


class ProxyAddresses(Kind):
    """Peers whose ``X-Forwarded-`` fields are believed: addresses and networks, comma separated.

    ``*`` is everybody, ``unix`` whoever connects to a Unix socket.
    """

    type_name = 'addresses and networks, "unix", or "*"'
    metavar = "ADDRESSES"

    def parse(self, raw: object) -> str:
        parts = raw if isinstance(raw, list | tuple) else str(super().parse(raw)).split(",")
        texts = [str(super(ProxyAddresses, self).parse(part)).strip() for part in parts]
        trusted = [text for text in texts if text]
        for part in trusted:
            if part not in ("*", "unix") and not _is_network(part):
                raise ValueError(
                    f"{part!r} is neither an address, a network such as 10.0.0.0/8, unix nor *"
                )
        return ",".join(trusted)


def _is_network(text: str) -> bool:
    address, slash, prefix = text.partition("/")
    for family, bits in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
        try:
            socket.inet_pton(family, address)
        except OSError:
            continue
        return not slash or (prefix.isascii() and prefix.isdigit() and int(prefix) <= bits)
    return False


class RootPath(Kind):
    """Where the application is mounted: empty, or a path that starts with a slash and ends without."""

    type_name = "path"
    metavar = "PATH"

    def parse(self, raw: object) -> str:
        path = str(super().parse(raw)).rstrip("/")
        if path and not path.startswith("/"):
            raise ValueError(f"{spelled(raw)} does not start with a slash: write {'/' + path!r}")
        return path


class MountPoint(Kind):
    """Where a pool is found on the shared port."""

    type_name = "/path, host/ or host/path"
    metavar = "MOUNT"

    def parse(self, raw: object) -> str:
        return str(parse_mount(super().parse(raw)))


class Mounts(Words):
    """Applications, each with where it is mounted; a table in a file."""

    type_name = "list of mount=module:attribute"
    metavar = "MOUNT=APP"

    def parse(self, raw: object) -> tuple[str, ...]:
        if isinstance(raw, Mapping):
            raw = [f"{mount}={self._target(target)}" for mount, target in raw.items()]
        texts = super().parse(raw)
        check_distinct(map(parse_mounted, texts))
        return texts

    def _target(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(f"{spelled(raw)} is not a target: write module:attribute")
        return raw

    def _split(self, part: str) -> Iterable[str]:
        return [str(parse_mounted(part))]


class Account(Kind):
    """A user or a group, by name or by number."""

    def __init__(self, metavar: str) -> None:
        self.metavar = metavar
        self.type_name = f"{metavar.lower()} name or number"

    def parse(self, raw: object) -> str:
        if isinstance(raw, bool) or not isinstance(raw, int | str) or not str(raw).strip():
            raise ValueError(f"{spelled(raw)} is not a {self.type_name}")
        return str(raw)


class Table(Kind):
    """A dictionary; only a file can hold one."""

    type_name = "table"
    file_only = True

    def parse(self, raw: object) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise ValueError(f"{spelled(raw)} is not a table")
        return raw

    def show(self, value: dict[str, Any]) -> str:
        return f"a table of {', '.join(map(str, value))}" if value else "none"
