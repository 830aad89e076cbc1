"""Websockets bridged to processes: messages both ways, and either end ends the other."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from sockets import connected

from registry import App, open_app
from registry.kinds.http import edge_of

WriteApp = Callable[..., Path]
MAIN = """\
namespace: app
entries:
  - {name: hall, kind: process.host}
  - {name: web, kind: http.service, addr: "127.0.0.1:0", lifecycle: {auto_start: true}}
  - {name: router, kind: http.router, meta: {server: web}}
  - {name: chat, kind: http.endpoint, meta: {router: router}, path: "/chat/{room}",
     process: talker, host: hall}
  - {name: lua_chat, kind: http.endpoint, meta: {router: router}, path: /lua,
     process: lua_talker, host: hall}
  - {name: plain, kind: http.endpoint, meta: {router: router}, path: /plain, func: plain_fn}
  - {name: talker, kind: process.py, source: "code_of_talk:talk"}
  - {name: plain_fn, kind: function.py, source: "code_of_talk:plain"}
  - name: lua_talker
    kind: process.lua
    source: |
      return function(request)
        local m = process.inbox():receive()
        process.send(request.socket, "message", {m:topic(), m:payload(), request.path})
      end
  - name: nothing
    kind: security.policy
    policy: {actions: [x], resources: [y], effect: allow}
"""
CODE = """\
from trio_actors import EventKind
import trio

log = []

async def plain(request):
    return "plain"

async def talk(ctx, request):
    ctx.send(request["socket"], "message", f"welcome to {request['params']['room']}")
    async with trio.open_nursery() as nursery:

        async def events():
            async for event in ctx.events:
                log.append(str(event.kind))
                if event.kind is EventKind.CANCEL:
                    nursery.cancel_scope.cancel()

        nursery.start_soon(events)
        async for message in ctx.inbox:
            match message.payload:
                case "crash":
                    raise ValueError("secret")
                case "bye":
                    ctx.send(request["socket"], "message", "bye")
                    break
                case "close":
                    ctx.send(request["socket"], "close", 4000)
                case found:
                    ctx.send(request["socket"], "message", found)
        nursery.cancel_scope.cancel()
"""


@pytest.fixture
def path(write_app: WriteApp) -> Path:
    """The application of this file."""
    sys.modules.pop("code_of_talk", None)
    return write_app({"main.yaml": MAIN, "code_of_talk.py": CODE})


@asynccontextmanager
async def served(path: Path, **overrides: Any) -> AsyncIterator[tuple[App, tuple[str, int]]]:
    """The running application and its address."""
    async with open_app(path, overrides=overrides) as app:
        address = edge_of(app).sites["app:web"].address
        assert address is not None
        yield app, address


async def test_messages_go_both_ways(path: Path) -> None:
    """Texts and bytes as they are, in order; what is neither goes out as JSON."""
    async with served(path) as (_, address):
        async with connected(address, "/chat/blue") as socket:
            assert await socket.receive() == "welcome to blue"
            for data in ("ü" * 70_000, b"\x00\xff", ""):
                await socket.send(data)
                assert await socket.receive() == data
        async with connected(address, "/lua") as socket:
            await socket.send("hello")
            assert await socket.receive() == '["message", "hello", "/lua"]'
            assert await socket.receive() is None
            assert socket.closed == 1000


@pytest.mark.parametrize(("word", "code"), [("bye", 1000), ("crash", 1011), ("close", 4000)])
async def test_the_end_of_the_process_closes(path: Path, word: str, code: int) -> None:
    """What it sent before goes out first; a failure tells nothing but that it is one."""
    async with served(path) as (app, address):
        async with connected(address, "/chat/x") as socket:
            await socket.receive()
            await socket.send(word)
            if word == "bye":
                assert await socket.receive() == "bye"
            assert await socket.receive() is None
            assert socket.closed == code
        with trio.fail_after(10):
            while app.node.hosts["app:hall"].alive:
                await trio.sleep(0.005)


async def test_a_client_that_goes_away_cancels_the_process(path: Path) -> None:
    """CANCEL arrives, and nothing of the connection is left."""
    async with served(path) as (app, address):
        import code_of_talk as code  # type: ignore[import-not-found]

        async with connected(address, "/chat/x") as socket:
            await socket.receive()
        with trio.fail_after(10):
            while app.node.hosts["app:hall"].alive:
                await trio.sleep(0.005)
        assert code.log[-1:] == ["pid.cancel"]


async def test_a_stop_closes_with_going_away(path: Path) -> None:
    """The client sees 1001, and the stop does not wait for clients."""
    async with served(path) as (app, address):
        async with connected(address, "/chat/x") as socket:
            await socket.receive()
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(app.supervisor.stop, ["app:web"])
                assert await socket.receive() is None
            assert socket.closed == 1001
            assert trio.current_time() - began < 5


async def test_who_may_not_is_refused(path: Path) -> None:
    """404, no websocket, a foreign page, and what the service's policies do not allow."""
    async with served(path) as (_, address):
        foreign = ("http://evil", "http://[evil", "null")
        cases = [("/no", {}, 404), ("/plain", {}, 400)]
        cases += [("/lua", {"Origin": origin}, 403) for origin in foreign]
        for target, headers, status in cases:
            async with connected(address, target, **headers) as socket:
                assert socket.refused == status
        own = f"http://{address[0]}:{address[1]}"
        async with connected(address, "/lua", Origin=own) as socket:
            assert socket.refused is None
    security = {"actor": {"id": "gate"}, "policies": ["nothing"]}
    async with served(path, **{"app:web:lifecycle.security": security}) as (_, address):
        async with connected(address, "/chat/x") as socket:
            assert await socket.receive() is None
            assert socket.closed == 1011


async def test_a_message_that_is_too_large_closes(path: Path) -> None:
    """HT2's limit is that of messages too: 1009, in one frame or many; the process is cancelled."""
    async with served(path, **{"app:web:max_body": 1000}) as (app, address):
        async with connected(address, "/chat/x") as socket:
            await socket.receive()
            await socket.send("x" * 1000)
            assert await socket.receive() == "x" * 1000
            await socket.send("x" * 1001)
            assert await socket.receive() is None
            assert socket.closed == 1009
        with trio.fail_after(10):
            while app.node.hosts["app:hall"].alive:
                await trio.sleep(0.005)


@pytest.mark.parametrize("word", ["object", "surrogate"])
async def test_what_cannot_be_sent_closes_that_connection_only(path: Path, word: str) -> None:
    """HT9: 1011 for who has it, and the log; others go on."""
    async with (
        served(path) as (app, address),
        connected(address, "/chat/x") as other,
        connected(address, "/chat/y") as socket,
    ):
        await other.receive()
        await socket.receive()
        [bridge] = [p for p in app.node.processes.values() if p.pid in bridges(app)[-1:]]
        app.node.send(bridge.pid, "message", object() if word == "object" else "\ud800")
        assert await socket.receive() is None
        assert socket.closed == 1011
        await other.send("still here")
        assert await other.receive() == "still here"


def bridges(app: App) -> list[str]:
    """PIDs of the bridges of websockets, oldest first."""
    return [pid for pid, one in app.node.processes.items() if one.id == "app:chat"]
