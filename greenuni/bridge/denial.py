"""Answers of our own to scopes that lead nowhere, HTTP or WebSocket."""

from __future__ import annotations

from greenuni.bridge.interfaces import Receive, Scope, Send

POLICY_VIOLATION = 1008  # RFC 6455 7.4.1


async def answer(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    """Answer with ``status`` and a line of plain text, as far as a scope can be answered.

    A WebSocket handshake gets it by the ``websocket.http.response`` extension; without that, closing
    before accepting is a 403 in every server (ASGI, "Close - send event").
    """
    if scope["type"] == "http":
        await _respond(send, "http.response", status, text)
        return
    await receive()  # websocket.connect; nothing may be sent before it
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await _respond(send, "websocket.http.response", status, text)
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": text})


async def _respond(send: Send, kind: str, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
