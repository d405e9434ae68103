"""WSGI and ASGI, each through the other, and several applications in one worker.

::

    from greenuni.bridge import ASGIToWSGI, Mount, Mounts, WSGIToASGI

    app = WSGIToASGI(flask_app, threads=16)     # under any ASGI server
    application = ASGIToWSGI(fastapi_app)       # under any WSGI server
    both = Mounts([Mount("/api", fastapi_app, "asgi"), Mount("/", flask_app, "wsgi")])
    both.asgi, both.wsgi                        # under either

docs/bridge.md says what they guarantee. What is not used is not imported: a process that mounts only
WSGI applications loads no event loop.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from greenuni.bridge.mounts import Mount, Mounts

if TYPE_CHECKING:
    from greenuni.bridge.asgi_to_wsgi import ASGIToWSGI
    from greenuni.bridge.call import ClientDisconnected
    from greenuni.bridge.wsgi_to_asgi import WSGIToASGI

__all__ = [
    "ASGIToWSGI",
    "ClientDisconnected",
    "Mount",
    "Mounts",
    "WSGIToASGI",
]

_LATER = {
    "ASGIToWSGI": "greenuni.bridge.asgi_to_wsgi",
    "ClientDisconnected": "greenuni.bridge.call",
    "WSGIToASGI": "greenuni.bridge.wsgi_to_asgi",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
