"""What the profiling tools print, read into numbers and put into a page."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

STRACE = """\
    calls syscall
--------- ----------------
     2000 recvfrom
     1000 epoll_wait
--------- ----------------
     3000 total
"""
PERF = """\
 60.00% ;[.] _PyEval_EvalFrameDefault ;libpython3.11.so.1.0;-      -
 25.00% ;[k] tcp_sendmsg              ;[kernel.kallsyms]   ;-      -
 15.00% ;[k] tcp_recvmsg              ;[kernel.kallsyms]   ;-      -

"""
LOOP = "main (greenuni/cli.py:41);run (greenuni/loop.cpython-311-x86_64-linux-gnu.so)"
STACKS = f"""\
{LOOP};hello (app.py:3);dict_new (dict.c:1) 60
{LOOP};send (libc.so.6) 30
{LOOP} 10
{LOOP};select_epoll_poll (selectmodule.c:9);epoll_wait (libc.so.6) 50
thread_run (libpython3.11.so.1.0);_watch (greenuni/worker/watcher.py:56);poll (libc.so.6) 100
wait (threading.py:3);pthread_cond_timedwait@@GLIBC_2.3.2 (libc.so.6) 70
"""


def module(name: str) -> Any:
    return importlib.import_module(name)


def page(name: str) -> Any:
    return getattr(module("profile_page"), name)


def test_system_calls_are_counted_without_their_total() -> None:
    assert page("parse_strace")(STRACE) == {"recvfrom": 2000, "epoll_wait": 1000}


def test_columns_that_perf_adds_are_not_keys() -> None:
    shares = page("parse_perf")(PERF, columns=2)
    assert shares["_PyEval_EvalFrameDefault", "libpython3.11.so.1.0"] == pytest.approx(0.6)
    assert len(shares) == 3


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("[k] tcp_sendmsg", "tcp_sendmsg"),
        ("_PyObject_Free", "_PyObject_Free"),
        ("connection.cpython-311-x86_64-linux-gnu.so", "connection.so"),
        ("[.] __pyx_f_8greenuni_4http_4fast_read_head", "greenuni.http.fast.read_head"),
        ("[.] __pyx_pw_8greenuni_4wsgi_4link_4Link_3close", "greenuni.wsgi.link.Link.close"),
        ("[.] __pyx_pw_8greenuni_4link_4Link_1__init__", "greenuni.link.Link.__init__"),
        ("[.] __pyx_tp_new_8greenuni_4link", "__pyx_tp_new_8greenuni_4link"),
    ],
)
def test_symbols_are_readable(symbol: str, name: str) -> None:
    assert list(page("parse_perf")(f" 50.00% ;{symbol}", columns=1)) == [(name,)]


def test_stacks_keep_python_compiled_or_not_and_system_calls_but_no_waits() -> None:
    main, run = "main (greenuni/cli.py)", "run (greenuni/loop, compiled)"
    assert page("parse_stacks")(STACKS) == {
        (main, run, "hello (app.py)"): 0.6,
        (main, run, "send, system call"): 0.3,
        (main, run): 0.1,
    }


def test_a_recursion_counts_once() -> None:
    functions = page("by_function")({("a", "b", "a"): 0.75, ("a", "b"): 0.25})
    assert functions == {"a": (1.0, 0.75), "b": (1.0, 0.25)}


def test_a_page_gives_microseconds_and_leaves_out_what_is_on_nearly_every_stack() -> None:
    profile = page("Profile")(
        "greenuni sync",
        microseconds=10.0,
        calls={"recvfrom": 1.0},
        functions=page("parse_perf")(PERF, columns=2),
        stacks=page("parse_stacks")(STACKS),
    )
    text = page("render_page")(
        module("workloads").BY_NAME["hello"],
        {"Commit": "abc", "Pinned": "to one"},
        [profile],
        {"bjoern (C)": {"read": 2.0}},
        {"perf": "not allowed"},
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["system call", "greenuni sync", "bjoern (C)"] in rows
    assert ["read", "", "2.00"] in rows
    assert ["all", "1.00", "2.00"] in rows
    assert ["(all of the kernel)", "[kernel.kallsyms]", "40.0%", "4.00"] in rows
    assert ["hello (app.py)", "60.0%", "6.00", "60.0%", "6.00"] in rows
    assert not any(cells[0].startswith("main (") for cells in rows)
    assert "- Commit: abc" in text
    assert "- Without perf: not allowed" in text
