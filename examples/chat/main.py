"""A chat room: everybody who has the page open hears what anybody says."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

app = FastAPI()


class Room:
    """Who is there, and what was said last. One process has one room: serve it with one worker."""

    def __init__(self) -> None:
        self.present: dict[WebSocket, str] = {}
        self.said: deque[dict[str, str]] = deque(maxlen=20)

    async def say(self, name: str, text: str) -> None:
        message = {"name": name, "text": text}
        self.said.append(message)
        for socket in list(self.present):
            try:
                await socket.send_json(message)
            except WebSocketDisconnect:
                self.present.pop(socket, None)  # its own handler has not noticed yet


room = Room()


@app.get("/")
def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("index.html"))


@app.get("/present")
def present() -> list[str]:
    return sorted(room.present.values())


@app.websocket("/chat")
async def chat(socket: WebSocket, name: str = "somebody") -> None:
    if len(name) > 40:
        await socket.close()  # before it is accepted: a 403
        return
    await socket.accept()
    for message in room.said:
        await socket.send_json(message)
    room.present[socket] = name
    await room.say("", f"{name} comes in")
    try:
        while True:
            await room.say(name, await socket.receive_text())
    except WebSocketDisconnect:
        pass
    finally:
        room.present.pop(socket, None)
        await room.say("", f"{name} has gone")
