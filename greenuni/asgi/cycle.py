"""The coroutines of one call of the application. What need not wait is in ``call``, compiled."""

from __future__ import annotations

from greenuni.asgi.call import Call
from greenuni.asgi.interfaces import Message


class Cycle(Call):
    """One request, as the application's task lives it."""

    __slots__ = ()

    async def run(self) -> None:
        try:
            await self.begin()
        except GeneratorExit:
            raise
        except BaseException as error:
            # SystemExit too: one request must not end the others.
            if self.failed(error):
                raise
        else:
            self.returned()
        finally:
            self.finished()

    async def receive(self) -> Message:
        """ASGI's ``receive``. Several tasks may wait in it; each gets a message of its own."""
        inbox = self.inbox
        inbox.ask()
        while (message := inbox.next()) is None:
            await inbox.waiting().wait()
        return message

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Raises what `Reply.take` raises."""
        left = self.deliver(message)
        if left is not None:
            await left

    async def send_when_writable(self, message: Message) -> None:
        await self._wait_writable()
        await self.send(message)

    async def _wait_writable(self) -> None:
        output = self.channel.output
        while output.is_paused:
            await output.writable().wait()

    async def send_file(self, path: str) -> None:
        """Send the head and a file's bytes."""
        from greenuni.asgi.sendfile import FileToSend  # it imports anyio

        async with FileToSend(path, self.service.file_readers) as file:
            wants_body = self.reply.responder.wants_body
            block = await file.read() if wants_body else b""
            parts = [*self.reply.start_file(file.size), block]
            while True:
                await self._wait_writable()
                if self.has_lost_client:
                    return
                self.channel.output.write(parts)
                block = await file.read() if wants_body else b""
                if not block:
                    break
                parts = [block]
            self.reply.end_file()
        self.end()
