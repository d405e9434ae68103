"""What a header field is called in a WSGI environ (PEP 3333, RFC 3875 4.1.18)."""

from __future__ import annotations

CACHE_LIMIT = 1024


class VariableNames(dict[bytes, str]):
    """Field names in lower case -> variable names, "" for those that are left out.

    Left out is what could be taken for something else: names with an underscore, as ``X_User`` and
    ``X-User`` would be the same variable, and a proxy that removes one may let the other through; and
    ``Proxy``, as HTTP_PROXY is what HTTP libraries take their proxy from (httpoxy, CVE-2016-5385).
    Bounded, for clients choose the names.
    """

    def __missing__(self, name: bytes) -> str:
        variable = _variable_name(name)
        if len(self) < CACHE_LIMIT:
            self[name] = variable
        return variable


def _variable_name(name: bytes) -> str:
    if b"_" in name or name == b"proxy":
        return ""
    variable = name.decode("latin-1").upper().replace("-", "_")
    if variable in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return variable
    return f"HTTP_{variable}"
