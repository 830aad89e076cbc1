"""Listening: Hypercorn's Trio connections under limits of our own, and an orderly end.

Hypercorn's own `serve` has no limit for writing and waits for a slow reader without end, shielded;
and one connection's fault would end them all. `Connection` closes both holes.

Order of the stop: no new connections; idle ones are closed; running requests may finish; when that
takes too long their functions are cancelled and they get 503; at last everything is cancelled.

Rules: HT7, HT9.
"""

from __future__ import annotations

import logging
import ssl
from functools import partial
from typing import Any, Protocol

import attrs
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from starlette.types import Receive, Scope, Send

from .site import Limits

log = logging.getLogger("trio_actors.http")
# Busy: the connection is being closed at this very moment.
GONE = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)
ONE_WRITE = 65536  # bytes; what is larger is not copied for that
LAST = 1.0  # seconds for the last answers after the functions were cancelled


class Served(Protocol):
    """An ASGI application that can be stopped."""

    stopping: trio.Event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def expire(self) -> None:
        """It has had its time: requests that still run are to be answered now."""


class Connection(TCPServer):
    """One connection, whose writes have a limit and whose faults stay with it."""

    def __init__(
        self, app: Served, config: Config, context: WorkerContext, stream: Any, write: float
    ) -> None:
        self._scope = trio.CancelScope()
        self._write = write
        # Calls that end with the connection (HT7); of HTTP/1 only, where it is the client.
        self.calls: set[trio.CancelScope] = set()
        # What goes out in one write with what follows it; None: at once.
        self._held: list[bytes] | None = None
        state = ConnectionState({"connection": self})
        super().__init__(ASGIWrapper(app), config, context, state, stream)  # type: ignore[arg-type]

    async def run(self) -> None:
        """Until either side closes. Raises nothing but what must go on (E38)."""
        try:
            with self._scope:
                await super().run()
        except Exception:
            log.exception("a connection failed")

    def abort(self) -> None:
        """Closes it at once."""
        self._scope.cancel(reason="the request was not read to its end")

    def hold(self) -> list[bytes]:
        """What is sent from now on goes out in one write: when it is released or the answer ends.

        The next request may be answered before this one comes to release its own.
        """
        self._held = held = list[bytes]()
        return held

    async def release(self, held: list[bytes] | None) -> None:
        """What was held goes out, if it has not yet. Checkpoint: if there is anything."""
        if held and held is self._held:
            self._held = None
            small = sum(map(len, held)) <= ONE_WRITE
            for data in [b"".join(held)] if small else filter(None, held):
                await self._put_out(data)

    async def _read_data(self) -> None:
        await super()._read_data()
        for call in self.calls:
            call.cancel(reason="the client went away")

    async def protocol_send(self, event: Event) -> None:
        """As Hypercorn's, but a client that does not read is given up after a while."""
        if not isinstance(event, RawData):
            await self.release(self._held)
            self._held = None
            if isinstance(event, Closed):
                async with self.send_lock:  # another task may be writing
                    pass
            await super().protocol_send(event)
        elif self._held is not None:
            self._held.append(event.data)
        elif event.data:
            await self._put_out(event.data)

    async def _put_out(self, data: bytes) -> None:
        sent = False
        async with self.send_lock:
            with trio.move_on_after(self._write):
                try:
                    await self.stream.send_all(data)
                    sent = True
                except GONE:
                    pass
        if not sent:
            await self.protocol.handle(Closed())
            self._scope.cancel(reason="the client does not read")


def config_of(limits: Limits) -> Config:
    """Hypercorn's settings."""
    config = Config()
    config.errorlog = log
    config.accesslog = None
    config.include_server_header = False
    config.ssl_handshake_timeout = limits.read
    config.keep_alive_timeout = limits.idle
    config.websocket_max_message_size = limits.max_body
    return config


@attrs.frozen(slots=True)
class Tls:
    """The files of a certificate and of its key."""

    cert: str
    key: str

    def context(self) -> ssl.SSLContext:
        """For HTTP/2 and HTTP/1.1. Raises: OSError, ssl.SSLError."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


async def listen(host: str | None, port: int, tls: Tls | None) -> list[trio.abc.Listener[Any]]:
    """Listening sockets. Raises: OSError."""
    plain = await trio.open_tcp_listeners(port, host=host)
    if tls is None:
        return list(plain)
    context = tls.context()
    return [trio.SSLListener(one, context, https_compatible=True) for one in plain]


async def serve(
    app: Served, listeners: list[trio.abc.Listener[Any]], limits: Limits, grace: float
) -> None:
    """Serve until `app.stopping`, then stop within `grace` seconds."""
    config, context = config_of(limits), WorkerContext(None)

    alive, empty = 0, trio.Event()

    async def handle(stream: Any) -> None:
        nonlocal alive
        alive += 1
        try:
            await Connection(app, config, context, stream, limits.write).run()
        finally:
            alive -= 1
            if not alive:
                empty.set()

    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(
                partial(trio.serve_listeners, handle, listeners, handler_nursery=connections)
            )
            await app.stopping.wait()
            accepting.cancel_scope.cancel()
        await context.terminated.set()
        ended = trio.current_time() + grace
        empty = trio.Event()
        if alive:
            with trio.move_on_at(ended - min(LAST, grace / 4)):
                await empty.wait()
        app.expire()
        connections.cancel_scope.deadline = ended
