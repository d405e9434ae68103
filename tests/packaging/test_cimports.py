"""What is read from Cython's files."""

from __future__ import annotations

from pathlib import Path

from tests.support.cimports import cimports_of

TEXT = """\
# from greenuni.not_this cimport comment
from libc.string cimport memchr, memcpy as copy
from greenuni.http.states cimport Sides
cimport greenuni.clock
cimport cython, greenuni.errors as errors  # two
import greenuni.shell
from greenuni.wsgi import loop
    from cpython.bytes cimport (PyBytes_AS_STRING)
"""


def test_every_form_is_found_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.pyx"
    path.write_text(TEXT)
    assert sorted(cimports_of(path)) == [
        (2, "libc.string"),
        (2, "libc.string.memchr"),
        (2, "libc.string.memcpy"),
        (3, "greenuni.http.states"),
        (3, "greenuni.http.states.Sides"),
        (4, "greenuni.clock"),
        (5, "cython"),
        (5, "greenuni.errors"),
        (6, "greenuni.shell"),
        (7, "greenuni.wsgi"),
        (7, "greenuni.wsgi.loop"),
        (8, "cpython.bytes"),
        (8, "cpython.bytes.PyBytes_AS_STRING"),
    ]
