"""What Python sees of the compiled engine."""

from typing import Any

from greenuni.http.fields import ResponseFields
from greenuni.http.limits import Limits
from greenuni.http.reference import Engine
from greenuni.http.request import Request

class FastEngine(Engine): ...

def read_plain(data: bytes, limits: Limits) -> Request | None:
    """The request that ``data`` begin with, None for what is not plainly right."""

def write_plain(headers: Any, text: bool) -> ResponseFields | None:
    """The fields of a response, None for what is not plainly right."""
