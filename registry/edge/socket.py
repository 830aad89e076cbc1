"""A websocket as a process: messages in, messages out.

For every connection the endpoint's process is spawned with the request as its argument. The request
has one more key, `socket`: the PID of the bridge. What the client sends arrives at the process on
the topic `message`, as text or bytes; what the process sends to the bridge on `message` goes out
(text, bytes, anything else as JSON), and `close` closes. Either end ends the other: a client that
goes away cancels the process, a process that ends closes the connection, 1000 in order and 1011
after a failure.

A browser sends websocket requests of foreign pages with its user's address and cookies, so a
request whose `Origin` is another host is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import trio
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from trio_actors import EventKind, Message, Pid, ProcessContext, ProcessError
from trio_actors._core.function import function_target
from trio_actors._core.spawn import launch
from trio_actors.permission import require

from .exchange import Reply, refusal, table_of
from .site import Endpoint, received, report

if TYPE_CHECKING:
    from .site import WebApp

NORMAL, GOING_AWAY, FAILED = 1000, 1001, 1011
GRACE = 5.0  # seconds that the process has after its client went away


@attrs.frozen(slots=True)
class End:
    """Comes last in the bridge's own mailbox."""

    code: int


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a page of another host asks, or one that cannot be told.

    >>> is_foreign({"host": "A:80", "origin": "http://a:80"}), is_foreign({"host": "a"})
    (False, False)
    >>> is_foreign({"host": "a", "origin": "https://b"}), is_foreign({"origin": "http://[a"})
    (True, True)
    """
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True


def outgoing(payload: Any) -> str | bytes:
    """What a process sent, as a message of the websocket. Raises: ValueError."""
    if isinstance(payload, str | bytes):
        return payload
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False)
    except TypeError as error:
        raise ValueError(str(error)) from None


async def serve_socket(app: WebApp, scope: Scope, receive: Receive, send: Send) -> None:
    """One websocket from its request to its end."""
    socket = WebSocket(scope, receive, send)
    await socket.receive()  # connect
    request_id = app.ctx.node.uuid()
    request = received(scope, request_id)
    admitted = app.admit(request)
    if not isinstance(admitted, Reply) and is_foreign(request.headers):
        admitted = refusal(403, "PermissionDenied", "a page of another host")
    if isinstance(admitted, Reply):
        await _refuse(send, admitted)
        return
    found, inherited = admitted
    endpoint: Endpoint = found.route.target
    if endpoint.process is None:
        await _refuse(send, refusal(400, "Invalid", "this is no websocket"))
        return
    table = table_of(request, found.params)
    await socket.accept()

    async def main(ctx: ProcessContext) -> None:
        await bridge(ctx, socket, endpoint, table)

    node = app.ctx.node
    target = function_target(main, id=endpoint.id)
    pid = launch(node, target, (), host=app.ctx.host, inherited=inherited).pid
    async with trio.open_nursery() as nursery:

        async def stop() -> None:
            await app.stopping.wait()
            node.cancel(pid, GRACE)

        nursery.start_soon(stop)
        try:
            await node.wait(pid)
        finally:
            if pid in node.processes:
                node.terminate(pid)
        nursery.cancel_scope.cancel()


async def _refuse(send: Send, reply: Reply) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    start = {"type": "websocket.http.response.start", "status": reply.status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": reply.body})


async def bridge(
    ctx: ProcessContext, socket: WebSocket, endpoint: Endpoint, table: Mapping[str, Any]
) -> None:
    """The process of one connection: its PID is in the request; messages go both ways."""
    ctx.options.trap_links = True
    node = ctx.node
    assert endpoint.process is not None
    assert endpoint.host is not None
    try:
        require(node, ctx, "process.spawn", endpoint.process)
        peer = launch(
            node,
            endpoint.process,
            ({**table, "socket": ctx.pid},),
            host=endpoint.host,
            parent=ctx.process,
            monitor=True,
            link=True,
            inherited=ctx.inherited,
        ).pid
    except ProcessError as error:
        report(endpoint.process, table["request_id"], str(error), error)
        await socket.close(FAILED)
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_incoming, ctx, socket, peer, nursery.cancel_scope)
        nursery.start_soon(_await_end, ctx, peer)
        async for message in ctx.inbox:
            if await _forward(socket, message):
                break
        nursery.cancel_scope.cancel()
    if peer in node.processes:
        node.cancel(peer, GRACE)


async def _incoming(
    ctx: ProcessContext, socket: WebSocket, peer: Pid, scope: trio.CancelScope
) -> None:
    """From the client to the process, which may make the client wait by a bounded mailbox."""
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            scope.cancel(reason="the client went away")
            return
        text = event.get("text")
        try:
            await ctx.node.asend(peer, "message", event.get("bytes") if text is None else text)
        except ProcessError:
            return  # it has ended: its EXIT says how


async def _forward(socket: WebSocket, message: Message) -> bool:
    """One message on its way out; True when it was the last one."""
    if isinstance(message.payload, End):
        await socket.close(message.payload.code)
        return True
    if message.topic == "close":
        given = message.payload
        code = given if isinstance(given, int) and 3000 <= given <= 4999 else NORMAL
        await socket.close(code)
        return True
    if message.topic != "message":
        return False
    data = outgoing(message.payload)
    if isinstance(data, bytes):
        await socket.send_bytes(data)
    else:
        await socket.send_text(data)
    return False


async def _await_end(ctx: ProcessContext, peer: Pid) -> None:
    """The process ended, or the server stops: said in line with what the process has sent."""
    async for event in ctx.events:
        if event.kind is EventKind.CANCEL:
            ctx.node.send(ctx.pid, "end", End(GOING_AWAY))
        elif event.kind is EventKind.EXIT and event.sender == peer:
            failed = event.result is not None and event.result.error
            ctx.node.send(ctx.pid, "end", End(FAILED if failed else NORMAL))
