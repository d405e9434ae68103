"""``factory("text", key=1)`` taken apart. Few targets have a call, and ast is large."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple


class FactoryCall(NamedTuple):
    """The names of ``a.factory``, and what it is called with."""

    names: tuple[str, ...]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def parse_factory_call(text: str) -> FactoryCall:
    """Nothing is evaluated. Raises ``SyntaxError`` or ``ValueError`` where it is no call with literals."""
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, ast.Call):
        raise ValueError("not a call")
    return FactoryCall(tuple(_path(node.func)), *_literals(node))


def _path(node: ast.expr) -> Iterator[str]:
    """The names of ``a.b.c``. Raises ``ValueError`` for anything else."""
    if isinstance(node, ast.Attribute):
        yield from _path(node.value)
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
    else:
        raise ValueError("not a dotted name")


def _literals(call: ast.Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, none of them evaluated. Raises ``ValueError`` for ``**`` and names."""
    keywords: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError("** is not a literal")
        keywords[keyword.arg] = ast.literal_eval(keyword.value)
    return tuple(ast.literal_eval(argument) for argument in call.args), keywords
