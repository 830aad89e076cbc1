"""A small websocket client for tests, over a Trio stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import trio
import wsproto
import wsproto.events as ws


class Socket:
    """One connection: `send`, `receive`, and how it was closed."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events: Iterator[ws.Event] = iter(())
        self.refused: int | None = None
        self.closed: int | None = None

    async def open(self, host: str, target: str, headers: Mapping[str, str]) -> None:
        """The handshake; `refused` is the status if the server does not want it."""
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = ws.Request(host=host, target=target, extra_headers=extra)
        await self._stream.send_all(self._protocol.send(request))
        event = await self._next()
        if isinstance(event, ws.RejectConnection):
            self.refused = event.status_code

    async def send(self, data: str | bytes) -> None:
        """One message."""
        message = ws.TextMessage(data) if isinstance(data, str) else ws.BytesMessage(data)
        await self._stream.send_all(self._protocol.send(message))

    async def receive(self) -> str | bytes | None:
        """The next message, None after the connection was closed."""
        parts: list[str | bytes] = []
        while True:
            match await self._next():
                case ws.TextMessage(data, _, finished) | ws.BytesMessage(data, _, finished):
                    parts.append(data)
                    if finished:
                        empty = parts[0][:0]
                        return empty.join(parts)  # type: ignore[arg-type]
                case ws.CloseConnection(code):
                    self.closed = code
                    return None
                case None:
                    return None

    async def _next(self) -> ws.Event | None:
        while True:
            event = next(self._events, None)
            if event is not None:
                return event
            data = await self._stream.receive_some()
            if not data:
                return None
            self._protocol.receive_data(bytes(data))
            self._events = self._protocol.events()


@asynccontextmanager
async def connected(
    address: tuple[str, int], target: str, *, seconds: float = 10, **headers: str
) -> AsyncIterator[Socket]:
    """A websocket, for at most so many seconds, closed without a word at the end."""
    async with await trio.open_tcp_stream(*address) as stream:
        socket = Socket(stream)
        with trio.fail_after(seconds):
            await socket.open(f"{address[0]}:{address[1]}", target, headers)
            yield socket
