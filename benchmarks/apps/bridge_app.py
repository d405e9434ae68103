"""One WSGI application behind each of the adapters, and the same answer without any."""

from __future__ import annotations

from typing import Any

import asgi_app
import wsgi_app

plain = asgi_app.hello


def __getattr__(name: str) -> Any:
    """``ours``, ``a2wsgi`` or ``asgiref``; imported when asked for, for not all are everywhere."""
    if name == "ours":
        from greenuni.bridge import WSGIToASGI

        return WSGIToASGI(wsgi_app.hello)
    if name == "a2wsgi":
        from a2wsgi import WSGIMiddleware

        return WSGIMiddleware(wsgi_app.hello, workers=32)
    if name == "asgiref":
        from asgiref.wsgi import WsgiToAsgi

        return WsgiToAsgi(wsgi_app.hello)
    raise AttributeError(name)
