"""The application that Hypercorn drives: a request becomes a call, its result a response.

A request goes through the routes, the middleware and the body's limits; only then the function is
called, in a nursery beside a task that waits for the client to go away (HT7). Whatever happens to
one request is answered here, so nothing reaches the server or other requests (HT9).

Rules: HT2-HT9.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import trio
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from trio_actors import ProcessContext, ProcessError
from trio_actors._core.inherited import Inherited

from .exchange import (
    Received,
    Reply,
    Unusable,
    internal,
    joined,
    refusal,
    reply_of,
    reply_of_error,
    table_of,
)
from .middleware import Asking, Middleware, run_all
from .routes import Found, OtherMethods, Route, Routes, Unknown

log = logging.getLogger("trio_actors.http")
# Without these headers a request of HTTP/1 has no body; in HTTP/2 it may have one all the same.
OF_BODIES = frozenset({"content-length", "transfer-encoding"})
NO_BODY = frozenset({204, 304})


@attrs.frozen(slots=True)
class Limits:
    """What a connection may take. Units: seconds, bytes."""

    read: float = 30.0
    write: float = 30.0
    idle: float = 60.0
    max_body: int = 1048576


@attrs.frozen(slots=True)
class Endpoint:
    """Where a route leads: a function, or a process for websockets."""

    id: str
    func: str | None = None
    process: str | None = None
    host: str | None = None
    middleware: tuple[Middleware, ...] = ()


@attrs.define(slots=True, eq=False)
class Site:
    """What one server offers, and where it listens while it runs."""

    # Makes the routes anew after a change.
    build: Callable[[], Iterable[Route]] = attrs.field(repr=False)
    limits: Limits = attrs.field(factory=Limits)
    # Address and port while it runs.
    address: tuple[str, int] | None = None
    _routes: Routes | None = None

    def changed(self) -> None:
        """Endpoints or routers have changed: requests that come from now on see that."""
        self._routes = None

    @property
    def routes(self) -> Routes:
        """The routes as they are now."""
        if self._routes is None:
            self._routes = Routes(self.build())
        return self._routes


class Gone(Exception):
    """The client has gone away before its request was complete."""


class WebApp:
    """An ASGI application for one run of a server."""

    def __init__(self, site: Site, ctx: ProcessContext, stopping: trio.Event) -> None:
        self.site = site
        self.ctx = ctx
        self.stopping = stopping
        self._calls: set[trio.CancelScope] = set()
        self._expired = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or websocket."""
        if scope["type"] == "websocket":
            from .socket import serve_socket

            await serve_socket(self, scope, receive, send)
            return
        request_id = self.ctx.node.uuid()
        try:
            reply = await self._answer(scope, receive, request_id)
        except Gone:
            return
        if reply is None:
            return
        connection = scope["state"]["connection"]
        # Head and body go out in one write.
        held = connection.hold() if scope["http_version"].startswith("1") else None
        await _send(send, reply, request_id)
        await connection.release(held)
        if reply.close:
            connection.abort()

    def expire(self) -> None:
        """The server has stopped long enough: requests that still run are answered with 503."""
        self._expired = True
        for call in self._calls:
            call.cancel(reason="the server stops")

    def admit(self, received: Received) -> Reply | tuple[Found, Inherited]:
        """The route of a request and its security context, or the reply that refuses it."""
        found = self.site.routes.find(received.method, received.path)
        match found:
            case Unknown():
                return refusal(404, "NotFound", "no such path")
            case OtherMethods(allow):
                text = f"{received.method} is not possible here"
                return refusal(405, "Invalid", text, ("allow", ", ".join(allow)))
        route = found.route
        if not route.target.middleware:
            return found, self.ctx.inherited
        asking = Asking(route.method, route.pattern.text, received.headers)
        outcome = run_all(route.target.middleware, self.ctx, asking)
        return outcome if isinstance(outcome, Reply) else (found, outcome)

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Reply | None:
        request = received(scope, request_id)
        admitted = self.admit(request)
        alone = scope["http_version"].startswith("1")  # on its connection
        body = await self._body(request, receive, alone)
        if isinstance(admitted, Reply):
            return attrs.evolve(admitted, close=isinstance(body, Reply) and body.close)
        found, inherited = admitted
        if isinstance(body, Reply):
            return body
        endpoint: Endpoint = found.route.target
        if endpoint.func is None:
            return refusal(426, "Invalid", "this is a websocket", ("upgrade", "websocket"))
        try:
            table = table_of(request, found.params, body)
        except ValueError as error:
            return refusal(400, "Invalid", f"the body is not JSON: {error}")
        if alone:
            calls = scope["state"]["connection"].calls
            return await self._call_on_connection(endpoint.func, table, inherited, calls)
        return await self._call_beside_watch(endpoint.func, table, inherited, receive)

    async def _body(self, request: Received, receive: Receive, alone: bool) -> bytes | Reply:
        """The body; one that is too large is read to its end, so that the client sees why."""
        if alone and request.headers.keys().isdisjoint(OF_BODIES):
            if (await receive())["type"] == "http.disconnect":
                raise Gone
            return b""
        limit, chunks, size = self.site.limits.max_body, list[bytes](), 0
        complete = False
        with trio.move_on_after(self.site.limits.read):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                if not message.get("more_body"):
                    complete = True
                    break
        if size > limit:
            reply = refusal(413, "Invalid", f"the body is larger than {limit} bytes")
        elif complete:
            return b"".join(chunks)
        else:
            reply = refusal(408, "Timeout", "the body did not come in time")
        return attrs.evolve(reply, close=not complete)

    async def _call_on_connection(
        self,
        func: str,
        table: Mapping[str, Any],
        inherited: Inherited,
        calls: set[trio.CancelScope],
    ) -> Reply | None:
        """The reply; None when the client went away, which has cancelled the function (HT7).

        In HTTP/1 the connection is the client: it cancels its calls when it ends.
        """
        with trio.CancelScope() as scope:
            calls.add(scope)
            self._calls.add(scope)
            try:
                return await self._call(func, table, inherited)
            finally:
                calls.discard(scope)
                self._calls.discard(scope)
        return self._unanswered()

    async def _call_beside_watch(
        self, func: str, table: Mapping[str, Any], inherited: Inherited, receive: Receive
    ) -> Reply | None:
        """As `_call_on_connection`, for requests that share a connection (HTTP/2)."""
        replies: list[Reply] = []
        async with trio.open_nursery() as nursery:
            self._calls.add(nursery.cancel_scope)
            try:
                nursery.start_soon(_watch, receive, nursery.cancel_scope)
                replies.append(await self._call(func, table, inherited))
            finally:
                self._calls.discard(nursery.cancel_scope)
                nursery.cancel_scope.cancel()
        return replies[0] if replies else self._unanswered()

    def _unanswered(self) -> Reply | None:
        return refusal(503, "Unavailable", "the server stops") if self._expired else None

    async def _call(self, func: str, table: Mapping[str, Any], inherited: Inherited) -> Reply:
        request_id = table["request_id"]
        try:
            result = await self.ctx.node.functions.call_from(
                self.ctx, func, (table,), inherited=inherited, check=inherited
            )
            return reply_of(result)
        except ProcessError as error:
            reply = reply_of_error(error, request_id)
            if reply.status == 500:
                report(func, request_id, f"{error.kind.value or 'Internal'}: {error}", error)
            return reply
        except Unusable as error:
            report(func, request_id, str(error))
            return internal(request_id)


def report(func: str, request_id: str, text: str, error: ProcessError | None = None) -> None:
    """What a 500 does not tell (HT5)."""
    fields: dict[str, Any] = {"func": func, "request_id": request_id}
    if error is not None:
        fields |= {"details": error.details, "script_stack": error.stack}
    log.error("request %s failed in %s: %s", request_id, func, text, extra=fields)


def received(scope: Scope, request_id: str) -> Received:
    """A request as data, without its body."""
    query, client = scope["query_string"], scope.get("client")
    return Received(
        scope.get("method", "GET"),
        scope["path"],
        joined(scope["headers"]),
        QueryParams(query).multi_items() if query else (),
        client[0] if client else "",
        request_id,
    )


async def _watch(receive: Receive, cancel_scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    cancel_scope.cancel(reason="the client went away")


async def _send(send: Send, reply: Reply, request_id: str) -> None:
    headers = [*reply.headers, ("x-request-id", request_id)]
    if reply.status not in NO_BODY:
        headers.append(("content-length", str(len(reply.body))))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": reply.body})
