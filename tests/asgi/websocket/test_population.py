"""Many at once, and nothing of them is left when they have gone."""

from __future__ import annotations

import gc
import resource
from typing import Any

from greenuni.asgi.websocket import Session, WebSocket

from ..support import Receive, Send, open_descriptors, serving, wait_until
from .support import TEXT, Frame, WebSocketClient, accept, close_frame, websocket_only

Scope = dict[str, Any]
CLIENTS = 1000


def room() -> Any:
    """An application in which everybody hears everything."""
    present: set[Send] = set()

    @websocket_only
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        present.add(send)
        while (message := await receive())["type"] == "websocket.receive":
            for listener in list(present):
                await listener({"type": "websocket.send", "text": message["text"]})
        present.discard(send)

    return app


def alive(*types: type) -> int:
    gc.collect()
    return sum(isinstance(thing, types) for thing in gc.get_objects())


def hear(client: WebSocketClient, text: str) -> None:
    assert client.frame() == Frame(TEXT, text.encode())


def test_a_thousand_clients_hear_each_other_and_nothing_stays(backend: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * CLIENTS)), hard))
    before = alive(WebSocket, Session)
    with serving(room(), backend, worker_connections=CLIENTS + 10) as server:
        service = server.server._service
        assert service is not None
        descriptors = open_descriptors()
        clients = [WebSocketClient(server.address).open() for _ in range(CLIENTS)]
        assert len(service.population.running) == CLIENTS
        for number in (0, CLIENTS // 2, CLIENTS - 1):
            clients[number].text(f"from {number}")
            for client in clients:
                hear(client, f"from {number}")
        # Some say goodbye, some leave, some break the connection.
        for number, client in enumerate(clients):
            if number % 3 == 0:
                client.send(close_frame(1000))
            elif number % 3 == 1:
                client.reset()
                continue
            client.close()
        wait_until(service.population.is_empty, "all have gone", seconds=30)
        wait_until(lambda: open_descriptors() == descriptors, "their descriptors, too")
        wait_until(lambda: alive(WebSocket, Session) == before, "and all else", seconds=30)
        assert service.population.running == set()
        with WebSocketClient(server.address) as client:
            client.open().text("anybody here?")
            hear(client, "anybody here?")
