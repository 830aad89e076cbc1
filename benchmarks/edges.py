"""Costs of the edges and of changes: `python benchmarks/edges.py [--quick]`.

HTTP: CPU time of the server for one request of a client in another process, over kept-alive
connections; the bare handler is Starlette's on the same server. Queues: against an item through a
Trio memory channel. Changes: CPU time of `apply`. Programs take turns; the smallest of the
rounds counts, so that other work on the machine hardly shows.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from registry import App, open_app
from registry.edge.server import serve
from registry.edge.site import Limits
from registry.kinds.http import edge_of
from trio_actors import open_node
from trio_actors.functions import open_functions
from trio_actors.queues import DurableQueue, MemoryQueue, QueueDriver, QueueFile, queues_of
from trio_actors.queues.service import consume
from trio_actors.security import Actor, Scope, parse_policy

CLIENT = """\
import socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
with socket.create_connection(("127.0.0.1", port)) as s:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(count):
        s.sendall(b"GET " + sys.argv[3].encode() + b" HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        data = b""
        while b"hello" not in data:
            data += s.recv(65536)
"""
HELLO = """\
namespace: bench
entries:
  - {name: web, kind: http.service, addr: "127.0.0.1:0", lifecycle: {auto_start: true}}
  - {name: router, kind: http.router, meta: {server: web}}
  - {name: python, kind: http.endpoint, meta: {router: router}, path: /python, func: in_python}
  - {name: lua, kind: http.endpoint, meta: {router: router}, path: /lua, func: in_lua}
  - {name: in_python, kind: function.py, source: "bench_edge_code:hello"}
  - name: in_lua
    kind: function.lua
    method: main
    source: 'return {main = function() return {text = "hello"} end}'
"""
CODE = """\
async def hello(request):
    return {"text": "hello"}
"""


async def hello(request: Any) -> JSONResponse:
    """The bare handler."""
    return JSONResponse({"text": "hello"})


class Bare:
    """What `serve` needs to know of an application."""

    def __init__(self) -> None:
        self.stopping = trio.Event()
        self.app = Starlette(routes=[Route("/bare", hello)])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        await self.app(scope, receive, send)

    def expire(self) -> None:
        """Nothing is left to be cancelled."""


async def http(requests: int, rounds: int, folder: Path) -> dict[str, float]:
    """Microseconds of the server's CPU time per request."""
    (folder / "main.yaml").write_text(HELLO)
    (folder / "bench_edge_code.py").write_text(CODE)
    best: dict[str, float] = {}
    async with open_app(folder) as app, trio.open_nursery() as nursery:
        bare: Any = Bare()
        listeners: list[Any] = list(await trio.open_tcp_listeners(0, host="127.0.0.1"))
        nursery.start_soon(serve, bare, listeners, Limits(), 1.0)
        address = edge_of(app).sites["bench:web"].address
        assert address is not None
        ports = {
            "/bare": listeners[0].socket.getsockname()[1],
            "/python": address[1],
            "/lua": address[1],
        }
        for _ in range(rounds):
            for path, port in ports.items():
                start = time.process_time()
                words = [sys.executable, "-c", CLIENT, str(port), str(requests), path]
                await trio.run_process(words)
                took = (time.process_time() - start) / requests * 1e6
                best[path] = min(best.get(path, took), took)
        bare.stopping.set()
    return best


async def channel(count: int) -> None:
    """Items through an unbuffered memory channel."""
    send, receive = trio.open_memory_channel[int](0)

    async def producer() -> None:
        async with send:
            for number in range(count):
                await send.send(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(producer)
        async for _ in receive:
            pass


async def take_all(queue: QueueDriver, count: int) -> None:
    """A consumer without a function: take and acknowledge."""
    for _ in range(count):
        await (await queue.take()).ack()


async def queued(count: int, make: Callable[[Any, trio.Nursery], Awaitable[Any]]) -> float:
    """CPU seconds of publishing, taking and acknowledging."""
    async with open_node() as node, trio.open_nursery() as nursery:
        queue = await make(node, nursery)
        start = time.process_time()
        async with trio.open_nursery() as both:
            both.start_soon(take_all, queue, count)
            for number in range(count):
                await queues_of(node).publish("b:q", number + 1)
        took = time.process_time() - start
        nursery.cancel_scope.cancel()
    return took


async def memory(node: Any, nursery: trio.Nursery) -> MemoryQueue:
    """A queue of the memory driver."""
    queue = queues_of(node).by_id["b:q"] = MemoryQueue(queues_of(node), "b:q")
    return queue


async def passing(call: Any, following: Any) -> Any:
    """An interceptor that changes nothing."""
    return await following(call)


async def consumed(count: int, guarded: bool = False) -> float:
    """CPU seconds of publishing and of a consumer that calls a function.

    Args:
        guarded: it acts under an actor and a scope whose policy has to allow each call, and each
            call passes an interceptor.
    """
    async with open_node() as node, open_functions(node) as functions:
        queue = await memory(node, None)  # type: ignore[arg-type]
        done = trio.Event()

        async def handle(body: int) -> None:
            if body == count:
                done.set()

        functions.register("b:f", handle, pool={"type": "inline"})
        security: dict[str, Any] = {}
        if guarded:
            functions.add_interceptor("passing", passing)
            rule = {"actions": "funcs.call", "resources": "b:*", "effect": "allow"}
            scope = Scope([parse_policy("b:p", {"policy": rule})])
            security = {"actor": Actor("postman"), "scope": scope}
        async with node.open_host("b:host") as host:

            async def main(ctx: Any) -> None:
                await consume(ctx, queue, "b:f")

            await host.spawn(main, **security)
            start = time.process_time()
            for number in range(count):
                await queues_of(node).publish("b:q", number + 1)
            await done.wait()
            took = time.process_time() - start
            while queue.info().message_count:  # acknowledged, not dropped
                await trio.lowlevel.checkpoint()
            return took


async def durable(count: int, folder: Path) -> float:
    """Messages per second through an SQLite file, wall-clock, 64 publishers and 64 consumers."""
    async with open_node() as node, trio.open_nursery() as nursery:
        file = QueueFile(folder / "bench.sqlite", node)
        await nursery.start(file.run)
        queue = DurableQueue(queues_of(node), "b:q", file)
        await file.add(queue)

        async def publish() -> None:
            for number in range(count // 64):
                await queue.publish(number, {})

        start = time.perf_counter()
        async with trio.open_nursery() as both:
            for _ in range(64):
                both.start_soon(publish)
                both.start_soon(take_all, queue, count // 64)
        took = time.perf_counter() - start
        file.close()
    return count // 64 * 64 / took


async def changes(count: int, folder: Path) -> dict[str, float]:
    """CPU seconds of `apply` for so many entries at once."""
    (folder / "main.yaml").write_text("namespace: bench\nentries: []\n")
    took: dict[str, float] = {}

    def functions(source: str) -> list[dict[str, Any]]:
        data = {"method": "m", "source": f"return {{m = function() return {source} end}}"}
        ids = (f"bench:f{number}" for number in range(count))
        return [{"id": id, "kind": "function.lua", "data": data} for id in ids]

    async def timed(name: str, app: App, change: Any) -> None:
        start = time.process_time()
        await change.apply()
        took[name] = time.process_time() - start

    async with open_app(folder) as app:
        change = app.registry.changes()
        for number in range(count):
            data = {"n": number}
            change.create({"id": f"bench:e{number}", "kind": "registry.entry", "data": data})
        await timed("create plain entries", app, change)
        for name, source in (("create Lua functions", "1"), ("update Lua functions", "2")):
            change = app.registry.changes()
            for entry in functions(source):
                (change.create if source == "1" else change.update)(entry)
            await timed(name, app, change)
        change = app.registry.changes()
        for number in range(count):
            change.delete(f"bench:f{number}")
        await timed("delete Lua functions", app, change)
    return took


def best_of(rounds: int, programs: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The smallest figure of each program; they take turns."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in programs.items():
            gc.collect()
            best[name] = min(best.get(name, inf), run())
    return best


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, less work")
    quick = parser.parse_args().quick
    rounds, count = (1, 500) if quick else (5, 3000)
    with tempfile.TemporaryDirectory() as name:
        requests = trio.run(http, count // 3, rounds, Path(name))
    print("HTTP hello, CPU time of the server")
    for path, took in requests.items():
        ratio = took / requests["/bare"]
        print(f"  {path:<10} {took:7.0f} us a request   {ratio:.2f}x of the bare handler")

    def item() -> float:
        start = time.process_time()
        trio.run(channel, count)
        return time.process_time() - start

    print("queue, items per CPU second")
    programs: dict[str, Callable[[], float]] = {
        "Trio channel item": item,
        "memory driver": lambda: trio.run(queued, count, memory),
        "a consumer's function": lambda: trio.run(consumed, count),
        "... guarded": lambda: trio.run(consumed, count, True),
    }
    best = best_of(rounds, programs)
    floor = best["Trio channel item"]
    for name, took in best.items():
        print(f"  {name:<22} {count / took:9,.0f}   {floor / took:.2f}x of a channel item")
    with tempfile.TemporaryDirectory() as name:
        rate = trio.run(durable, count, Path(name))
    print(f"  {'SQLite driver, 64 + 64':<22} {rate:9,.0f}   messages a second, on the disk")
    with tempfile.TemporaryDirectory() as name:
        applied = trio.run(changes, 1000, Path(name))
    print("apply of 1,000 entries at once, CPU time")
    for name, took in applied.items():
        print(f"  {name:<22} {took:.2f} s")


if __name__ == "__main__":
    main()
