"""The page, its events and its requests, as an ASGI application.

Everything needs the key that stands in the printed address: the control socket is for one user, a
port of this machine is not. Nothing is loaded from anywhere else, and texts of the application are
shown as texts only.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from importlib import resources
from typing import Any

import trio
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from ..control.acting import ACTS
from ..control.protocol import ControlError
from .feed import Feed

HTML = "text/html; charset=utf-8"
JSON = "application/json"
STATUS: Mapping[str, int] = {"NotFound": 404, "PermissionDenied": 403, "denied": 403, "ended": 503}
MAX_BODY = 4096


class ObserveApp:
    """What `observe` serves."""

    def __init__(self, feed: Feed, hello: Mapping[str, Any], key: str | None = None) -> None:
        self.stopping = trio.Event()
        self.key = key or secrets.token_urlsafe(16)
        self._feed = feed
        self._hello = dict(hello)
        self._streams: set[trio.CancelScope] = set()
        self._page = resources.files("registry.observe").joinpath("page.html").read_text("utf-8")

    def expire(self) -> None:
        """Open event streams end."""
        for stream in self._streams:
            stream.cancel(reason="the observer stops")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        query, headers = QueryParams(scope["query_string"]), Headers(scope=scope)
        given = headers.get("x-key") or query.get("key") or ""
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            await answer(send, 403, "text/plain", b"the address needs its key\n")
            return
        match scope["method"], scope["path"]:
            case "GET", "/":
                await self._send_page(send)
            case "GET", "/events":
                await self._stream(receive, send)
            case "GET", "/process":
                await self._asked(send, "process", query.get("pid") or "")
            case "GET", "/explain":
                await self._asked(send, "explain", query.get("pid") or "")
            case "POST", "/act" if headers.get("x-key"):  # never from a plain link or form
                await self._act(receive, send)
            case _:
                await answer(send, 404, "text/plain", b"no such page\n")

    async def _send_page(self, send: Send) -> None:
        nonce = secrets.token_urlsafe(16)
        text = self._page.replace("{{nonce}}", nonce).replace("{{hello}}", in_script(self._hello))
        policy = f"default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'"
        policy += f"; style-src 'nonce-{nonce}'; frame-ancestors 'none'"
        extra = [
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),
        ]
        await answer(send, 200, HTML, text.encode(), extra)

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Server-sent events, each a snapshot; a viewer that is slow misses some."""
        head = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        self._feed.join()
        try:
            async with trio.open_nursery() as nursery:
                self._streams.add(nursery.cancel_scope)
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                nursery.start_soon(self._send_snapshots, send)
            self._streams.discard(nursery.cancel_scope)
        finally:
            self._feed.leave()
        await send({"type": "http.response.body", "body": b""})

    async def _send_snapshots(self, send: Send) -> None:
        number = max(0, self._feed.number - 1)  # the last one at once
        while True:
            number, data = await self._feed.after(number)
            body = b"data: " + data + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _asked(self, send: Send, op: str, pid: str) -> None:
        try:
            found = await self._feed.ask(op, pid=pid)
        except ControlError as error:
            await refuse(send, error)
            return
        await answer(send, 200, JSON, json.dumps(found).encode())

    async def _act(self, receive: Receive, send: Send) -> None:
        try:
            request = json.loads(await body_of(receive))
            op, pid = request["op"], request["pid"]
        except (ValueError, TypeError, KeyError):
            await answer(send, 400, "text/plain", b"expected op and pid\n")
            return
        if op not in ACTS:
            await answer(send, 400, "text/plain", b"no such operation\n")
            return
        await self._asked(send, op, pid)


def in_script(data: Any) -> str:
    """JSON that may stand inside a script element.

    >>> in_script("</script>")
    '"\\\\u003c/script>"'
    """
    return json.dumps(data).replace("<", "\\u003c")


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel(reason="the viewer has gone")


async def body_of(receive: Receive) -> bytes:
    """A small body. Raises: ValueError for any other."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY or message["type"] == "http.disconnect":
            raise ValueError("too large")
        if not message.get("more_body"):
            return body


async def refuse(send: Send, error: ControlError) -> None:
    """What the application refused."""
    body = json.dumps({"error": {"kind": error.kind, "message": error.message}}).encode()
    await answer(send, STATUS.get(error.kind, 400), JSON, body)


async def answer(
    send: Send, status: int, kind: str, body: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    """A whole response."""
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *(extra or ()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
