"""A profile as a page: what the tools print, read and put into tables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tables import bullets, table
from workloads import Workload

MOST_FUNCTIONS = 25
MOST_STACKS = 40
LEAST_CALLS = 0.015  # per request: what is rarer is not in the table
LEAST_SHARE = 0.005
# The chain of calls from main to the loop is on nearly every stack, and says nothing.
NEARLY_EVERYWHERE = 0.85
HARDLY_OWN = 0.005
KERNEL = "[kernel.kallsyms]"
SYSTEM_CALLS = re.compile(r"accept4?|close|epoll_ctl|readv?|writev?|(recv|send)\w*|shutdown")
# Where a thread waits. The sampler cannot tell a wait from the work of the same system call.
WAITS = re.compile(
    r"(p?poll|select|epoll_p?wait2?|clock_nanosleep|sem_\w*wait|\w*futex\w*|pthread_cond_\w+)\b.* \(libc"
)

NOTES = (
    "Shares are of the server's CPU time, from samples; microseconds are that share of the time that a"
    " request took without any tool. A virtual machine's clock cannot interrupt a stretch of the kernel"
    " that holds interrupts off, and charges it to the function that ends it: read the kernel as one"
    " line. System calls are counted while strace slows the server down, so more requests are ready"
    " whenever it polls; polls per request are higher in real life. The last table of a server is sampled"
    " by the wall clock; waits, and with them the work of epoll, are left out of it."
)


@dataclass
class Profile:
    """What the tools found of one server. A table whose tool failed stays empty."""

    title: str
    microseconds: float = 0.0  # of CPU per request, without any tool
    calls: dict[str, float] = field(default_factory=dict)  # system calls per request
    objects: dict[tuple[str, ...], float] = field(default_factory=dict)  # (object,) -> share
    functions: dict[tuple[str, ...], float] = field(default_factory=dict)  # (function, object)
    stacks: dict[tuple[str, ...], float] = field(default_factory=dict)  # functions -> share


def parse_strace(text: str) -> dict[str, int]:
    """System call -> count, from ``strace -c -U calls,name``."""
    found = re.findall(r"^\s*(\d+)\s+(\w+)\s*$", text, re.MULTILINE)
    return {name: int(count) for count, name in found if name != "total"}


def parse_perf(text: str, columns: int) -> dict[tuple[str, ...], float]:
    """Sort keys -> share (0 to 1), from ``perf report -t ';'``; rows of equal keys are added up.

    ``columns`` is the number of keys that were asked for: perf may add columns of its own.
    """
    shares: dict[tuple[str, ...], float] = defaultdict(float)
    for line in text.splitlines():
        percent, *keys = (cell.strip() for cell in line.split(";"))
        if keys and percent.endswith("%"):
            shares[tuple(_plain_symbol(key) for key in keys[:columns])] += float(percent[:-1]) / 100
    return dict(shares)


def _plain_symbol(symbol: str) -> str:
    """Without perf's mark of the privilege level, ``[.]`` or ``[k]``, and without what compilers add."""
    symbol = re.sub(r"^\[[.kHug]\] ", "", symbol)
    symbol = re.sub(r"\.cpython-.*\.so$", ".so", symbol)
    mangled = re.match(r"__pyx_[a-z]+_(?=\d)", symbol)
    return _demangled(symbol[mangled.end() :]) if mangled else symbol


def _demangled(name: str) -> str:
    """Cython's ``8greenuni_4http_4fast_read`` as ``greenuni.http.fast.read``.

    A number is the length of the name that follows it, or else the position of a method.
    """
    parts = []
    while found := re.match(r"\d+", name):
        length, name = int(found[0]), name[found.end() :]
        if name[length : length + 1] != "_" or not name[:length].strip("_"):
            break
        parts.append(name[:length])
        name = name[length + 1 :]
    return ".".join([*parts, name])


def parse_stacks(text: str) -> dict[tuple[str, ...], float]:
    """Functions from the outermost in -> share (0 to 1), from ``py-spy record --native --format raw``.

    Kept are functions that were written in Python, compiled or not, and system calls; other C is
    part of the function that called it. Stacks that end in a wait are left out.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_maybe_function(frame) for frame in stack.split(";")]
        functions = tuple(frame for frame in frames if frame)
        if functions and count.isdigit() and not WAITS.match(stack.rpartition(";")[2]):
            counts[functions] += int(count)
    total = sum(counts.values())
    return {functions: count / total for functions, count in counts.items()}


def _maybe_function(frame: str) -> str | None:
    """``run (greenuni/wsgi/server.py)`` without the line; None for C that is not ours."""
    function, _, place = frame.rstrip(")").partition(" (")
    path = re.sub(r":\d+$", "", place)
    if path.startswith("libc"):
        return f"{function}, system call" if SYSTEM_CALLS.fullmatch(function) else None
    if path.endswith((".py", ".pyx")):
        return f"{function} ({path})"
    if path.startswith("greenuni/"):
        return f"{function} ({path.partition('.')[0]}, compiled)"
    return None


def by_function(stacks: Mapping[tuple[str, ...], float]) -> dict[str, tuple[float, float]]:
    """Function -> (share with what it calls, share of its own). A recursion counts once."""
    inclusive: dict[str, float] = defaultdict(float)
    own: dict[str, float] = defaultdict(float)
    for functions, share in stacks.items():
        own[functions[-1]] += share
        for function in set(functions):
            inclusive[function] += share
    return {name: (share, own[name]) for name, share in inclusive.items()}


def render_page(
    workload: Workload,
    machine: Mapping[str, str],
    profiles: Sequence[Profile],
    rivals: Mapping[str, Mapping[str, float]],
    missing: Mapping[str, str],
) -> str:
    """The whole page."""
    labels = ("Date", "CPU", "Python", "Greenuni", "Commit")
    parts = [
        f"# Profile: {workload.title}",
        f"<!-- Written by `make bench-profile WORKLOAD={workload.name}`. Do not edit. -->",
        bullets(f"{label}: {machine[label]}" for label in labels if label in machine),
        NOTES,
    ]
    if missing:
        parts.append(bullets(f"Without {tool}: {reason}" for tool, reason in missing.items()))
    calls = {profile.title: profile.calls for profile in profiles} | dict(rivals)
    parts += _calls({title: counts for title, counts in calls.items() if counts})
    for profile in profiles:
        parts += _profile(profile)
    return "\n\n".join(parts) + "\n"


def _calls(calls: Mapping[str, Mapping[str, float]]) -> list[str]:
    """System calls down, servers across."""
    if not calls:
        return []
    names = {name for counts in calls.values() for name, count in counts.items()}
    often = {name: max(counts.get(name, 0.0) for counts in calls.values()) for name in names}
    names = {name for name in names if often[name] >= LEAST_CALLS}
    rows = [["system call", *calls]]
    rows += [
        [name, *(_count(counts.get(name, 0.0)) for counts in calls.values())]
        for name in sorted(names, key=lambda name: -often[name])
    ]
    rows.append(["all", *(_count(sum(counts.values())) for counts in calls.values())])
    return ["## System calls per request", table(rows)]


def _count(count: float) -> str:
    return f"{count:.2f}" if count >= LEAST_CALLS else ""


def _profile(profile: Profile) -> list[str]:
    parts = [f"## {profile.title}: {profile.microseconds:.1f} us of CPU per request"]
    if profile.objects:
        parts += ["### By shared object", _shares(profile.objects, profile, ("object",))]
    if profile.functions:
        parts += [
            "### By function, its own time",
            _shares(_kernel_as_one(profile.functions), profile, ("function", "object")),
        ]
    if profile.stacks:
        parts += ["### By function, with what it calls", _python_functions(profile)]
    return parts


def _kernel_as_one(functions: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    merged: dict[tuple[str, ...], float] = defaultdict(float)
    for (function, place), share in functions.items():
        merged["(all of the kernel)" if place == KERNEL else function, place] += share
    return merged


def _shares(
    shares: Mapping[tuple[str, ...], float], profile: Profile, heading: tuple[str, ...]
) -> str:
    ordered = sorted(shares.items(), key=lambda item: -item[1])[:MOST_FUNCTIONS]
    rows = [[*heading, "share", "us"]]
    rows += [
        [*keys, f"{share:.1%}", _us(share, profile)]
        for keys, share in ordered
        if share >= LEAST_SHARE
    ]
    return table(rows, text_columns=len(heading))


def _python_functions(profile: Profile) -> str:
    functions = by_function(profile.stacks)
    ordered = sorted(functions.items(), key=lambda item: -item[1][0])
    telling = [
        (name, (whole, own))
        for name, (whole, own) in ordered
        if whole >= LEAST_SHARE and (whole < NEARLY_EVERYWHERE or own >= HARDLY_OWN)
    ]
    rows = [["function", "with callees", "us", "own", "us"]]
    rows += [
        [name, f"{whole:.1%}", _us(whole, profile), f"{own:.1%}", _us(own, profile)]
        for name, (whole, own) in telling[:MOST_STACKS]
    ]
    return table(rows)


def _us(share: float, profile: Profile) -> str:
    return f"{share * profile.microseconds:.2f}"
