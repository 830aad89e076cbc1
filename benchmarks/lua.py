"""Workloads about Lua processes: messages in one state, across states, with Python; channels.

Run as a script it measures memory: `python benchmarks/lua.py memory COUNT` prints bytes.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from harness import Better, Program, Stopwatch, Workload
from memory import fresh, resident
from messages import ping_channel
from spawning import spawn_bare

from lua_bridge import Limits, LuaTarget, Script
from trio_actors import Host, Node, ProcessContext, open_node

ECHO = """
return function()
  local inbox, send = process.inbox(), process.send
  while true do
    local m = inbox:receive()
    send(m:from(), "pong", m:payload())
  end
end
"""

PING = """
return function(peer, n, table)
  local inbox, send = process.inbox(), process.send
  local item = table or 1
  for i = 1, n do
    send(peer, "ping", item)
    inbox:receive()
  end
end
"""

ITEMS = """
return function(n)
  local ch, done = channel.new(), channel.new()
  coroutine.spawn(function()
    for i = 1, n do ch:receive() end
    done:send(true)
  end)
  for i = 1, n do ch:send(i) end
  done:receive()
end
"""

NOTHING = "return function() end"

WORKER = """
return function()
  local inbox = process.inbox()
  local state = {count = 0, last = nil}
  local function add(n) state.count = state.count + n end
  local function note(m) state.last = m:topic() end
  while true do
    local m = inbox:receive()
    add(1)
    note(m)
  end
end
"""

LOOP = "return function() while true do end end"

MESSAGE = {
    "id": 7,
    "user": {"name": "Ada Lovelace", "email": "ada@example.org", "age": 36, "admin": False},
    "tags": ["one", "two", "three"],
    "position": {"x": 1.5, "y": -2.25, "z": 0.0},
    "status": "open",
    "score": 99,
    "note": "a short note",
}  # 14 leaves

OTHER_STATE = Limits(message_size=1 << 21)


def script(name: str, source: str, limits: Limits | None = None) -> LuaTarget:
    """A Lua definition."""
    return LuaTarget(Script(f"bench:{name}", source), limits=limits or Limits())


@asynccontextmanager
async def world() -> AsyncIterator[tuple[Node, Host]]:
    """A node with one host."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        yield node, host


def ping(limits: Limits | None, item: Any) -> Callable[[int, Stopwatch], Awaitable[int]]:
    """Two Lua processes; `limits` of its own puts the second one into another state."""

    async def run(n: int, watch: Stopwatch) -> int:
        async with world() as (node, host):
            peer = await host.spawn(script("echo", ECHO, limits))
            with watch:
                await node.call(script("ping", PING), peer, n, item, host=host)
        return n

    return run


async def ping_python(n: int, watch: Stopwatch) -> int:
    """A Python process and a Lua process."""

    async def pinger(ctx: ProcessContext, peer: str) -> None:
        inbox = ctx.inbox
        for i in range(n):
            ctx.send(peer, "ping", i)
            await inbox.receive()

    async with world() as (node, host):
        peer = await host.spawn(script("echo", ECHO))
        with watch:
            await node.call(pinger, peer, host=host)
    return n


async def item_channel(n: int, watch: Stopwatch) -> int:
    """One unbuffered memory channel, items one way."""
    sender, receiver = trio.open_memory_channel[int](0)

    async def consume() -> None:
        async for _ in receiver:
            pass

    with watch:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            async with sender:
                for i in range(n):
                    await sender.send(i)
    return n


async def item_lua(n: int, watch: Stopwatch) -> int:
    """An unbuffered channel between two coroutines of a Lua process."""
    async with world() as (node, host):
        with watch:
            await node.call(script("items", ITEMS), n, host=host)
    return n


async def spawn_lua(n: int, watch: Stopwatch) -> int:
    """Lua processes that end at once."""
    target = script("nothing", NOTHING)
    async with world() as (node, host):
        await node.call(target, host=host)
        with watch:
            for _ in range(n):
                host.spawn_soon(target)
            await host.join()
    return n


async def live(n: int) -> int:
    """Bytes added by n Lua processes that have had one message."""
    async with world() as (node, host):
        before = resident()
        target = script("worker", WORKER)
        pids = [host.spawn_soon(target) for _ in range(n)]
        await trio.testing.wait_all_tasks_blocked()
        for pid in pids:
            node.send(pid, "item", 1)
        await trio.testing.wait_all_tasks_blocked()
        return resident() - before


def megabytes(n: int) -> float:
    """The same in MB, in a fresh interpreter."""
    return fresh(__file__, "memory", n) / 2**20


def milliseconds_of_a_runaway(n: int) -> float:
    """From terminate to the end of a script in an endless loop."""

    async def run() -> float:
        async with world() as (node, host):
            pid = await host.spawn(script("loop", LOOP, Limits(instructions=10**12)))
            await trio.sleep(0.05)
            start = time.perf_counter()
            node.terminate(pid)
            await node.wait(pid)
            return (time.perf_counter() - start) * 1e3

    return trio.run(run)


COMPUTE = """
return function(n)
  local x = 0
  for i = 1, n do x = (x * 31 + i) % 1000003 end
  return x
end
"""


async def compute(workers: int, n: int) -> float:
    """Wall-clock seconds of four computing scripts."""
    async with open_node() as node, node.open_host("app:bench", drain=0, workers=workers) as host:
        limits = Limits(instructions=10**10)
        start = time.perf_counter()
        for _ in range(4):
            host.spawn_soon(script("compute", COMPUTE, limits), n)
        await host.join()
        return time.perf_counter() - start


def two_threads_against_one(n: int) -> float:
    """The same for code without Lua and without the GIL: what the computer has to give just now."""
    data = b"x" * (1 << 20)

    def work() -> None:
        for _ in range(n // 100_000):
            hashlib.sha256(data).digest()

    one, two = [], []
    for _ in range(6):
        start = time.perf_counter()
        work()
        work()
        one.append(time.perf_counter() - start)
        threads = [threading.Thread(target=work) for _ in range(2)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        two.append(time.perf_counter() - start)
    return min(two) / min(one)


def two_workers_against_one(n: int) -> float:
    """Wall-clock time with two worker threads as a part of that with one.

    The least of six runs each, which take turns: a core that another program has is no second core.
    """
    one, two = [], []
    for _ in range(6):
        one.append(trio.run(compute, 1, n))
        two.append(trio.run(compute, 2, n))
    return min(two) / min(one)


def delay_beside_a_computing_script(n: int) -> float:
    """p99 in milliseconds of how late a Python task wakes up while a script computes.

    The least of three runs: other programs of the computer delay a computing one, too.
    """
    return min(_delay(n) for _ in range(3))


def _delay(n: int) -> float:
    async def run() -> float:
        async with world() as (node, host):
            pid = await host.spawn(script("loop", LOOP, Limits(instructions=10**12)))
            late = []
            for _ in range(n):
                due = trio.current_time() + 0.001
                await trio.sleep_until(due)
                late.append(trio.current_time() - due)
            node.terminate(pid)
            return sorted(late)[int(n * 0.99)] * 1e3

    return trio.run(run)


PING_FLOOR = Program("memory channel", ping_channel, divide=2)

WORKLOADS = [
    Workload(
        "lua ping-pong",
        "round trips/s",
        16_000,
        (
            PING_FLOOR,
            Program("one state, integer", ping(None, 1), goal=6),
            Program("one state, 14-leaf table", ping(None, MESSAGE), goal=1),
            Program("two states, integer", ping(OTHER_STATE, 1), goal=1.3),
            Program("two states, 14-leaf table", ping(OTHER_STATE, MESSAGE), goal=0.28, divide=2),
            Program("Lua and Python, integer", ping_python, goal=0.8, divide=2),
        ),
    ),
    Workload(
        "lua channel item",
        "items/s",
        30_000,
        (Program("memory channel", item_channel), Program("in one process", item_lua, goal=5)),
    ),
    Workload(
        "lua spawn + exit",
        "processes/s",
        5_000,
        (Program("start_soon", spawn_bare), Program("Lua process", spawn_lua, goal=0.3)),
    ),
    Workload(
        "lua 10,000 processes",
        "MB",
        10_000,
        (Program("worker script", megabytes, goal=60),),
        better=Better.LOWER,
        rounds=1,
    ),
    Workload(
        "lua neighbour's p99 delay",
        "ms",
        500,
        (Program("while a script computes", delay_beside_a_computing_script, goal=5),),
        better=Better.LOWER,
    ),
    Workload(
        "lua two workers",
        "x time of one",
        2_000_000,
        (
            Program("hashing in two threads", two_threads_against_one),
            Program("four computing scripts", two_workers_against_one, goal=0.625),
        ),
        better=Better.LOWER,
    ),
    Workload(
        "lua runaway ended",
        "ms",
        1,
        (Program("terminate", milliseconds_of_a_runaway, goal=50),),
        better=Better.LOWER,
    ),
]

if __name__ == "__main__":
    print(trio.run(live, int(sys.argv[2])))
