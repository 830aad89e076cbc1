"""Workloads about what stays as it is: a bystander's delay, a full mailbox's owner, memory.

Run as a script it is the interpreter whose memory is watched: `python benchmarks/staying.py PROGRAM
COUNT` prints bytes.
"""

from __future__ import annotations

import functools
import sys
import time
from contextlib import suppress
from typing import Any

import trio
import trio.testing
from awaiting import AWAITING
from harness import Better, Program, Workload
from memory import fresh, resident
from plain import PLAIN
from servers import Double

from trio_actors import Message, Node, ProcessContext, ProcessNotFound, Server, handles, open_node

PAIRS = 100
NAP = 0.002


# -- a bystander beside busy pairs


async def _p99_of_naps(times: int) -> float:
    """How much longer than asked for a task sleeps, in ms: the 99th percentile."""
    late = []
    for _ in range(times):
        started = trio.current_time()
        await trio.sleep(NAP)
        late.append((trio.current_time() - started - NAP) * 1e3)
    return sorted(late)[int(len(late) * 0.99)]


async def _beside_channels(times: int) -> float:
    async def busy() -> None:
        (there, arrive), (back, returned) = (trio.open_memory_channel[int](0) for _ in range(2))

        async def echo() -> None:
            async for item in arrive:
                await back.send(item)

        async with trio.open_nursery() as inner:
            inner.start_soon(echo)
            while True:
                await there.send(1)
                await returned.receive()

    async with trio.open_nursery() as nursery:
        for _ in range(PAIRS):
            nursery.start_soon(busy)
        found = await _p99_of_naps(times)
        nursery.cancel_scope.cancel()
    return found


async def _ping(ctx: ProcessContext, peer: str | None) -> None:
    if peer is not None:
        ctx.send(peer, "ball")
    with suppress(ProcessNotFound):  # the other one was ended first
        async for message in ctx.inbox:
            ctx.send(message.sender, "ball")


class AsyncPong(Server):
    """Sends every ball back."""

    async def init(self, peer: str | None) -> None:
        if peer is not None:
            self.ctx.send(peer, "ball")

    @handles("ball")
    async def ball(self, message: Message) -> None:
        self.ctx.send(message.sender or "", "ball")


class Pong(Server):
    """Sends every ball back."""

    def init(self, peer: str | None) -> None:
        if peer is not None:
            self.ctx.send(peer, "ball")

    @handles("ball")
    def ball(self, message: Message) -> None:
        self.ctx.send(message.sender or "", "ball")


async def _beside(target: Any, times: int) -> float:
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        for _ in range(PAIRS):
            host.spawn_soon(target, host.spawn_soon(target, None))
        return await _p99_of_naps(times)


BUSY = {"function": _ping, "async": AsyncPong, "plain": Pong}


def milliseconds_beside(program: str, times: int) -> float:
    """The figure of one program."""
    if program == "channels":
        return trio.run(_beside_channels, times)
    return trio.run(_beside, BUSY[program], times)


# -- an ask by the owner of a full mailbox


async def _asks(unread: int, node: Node, host: Any, times: int) -> float:
    server = await host.spawn(AWAITING.doubler)

    async def owner(ctx: ProcessContext) -> float:
        _ = ctx.inbox
        for i in range(unread):
            ctx.send(ctx.pid, "unread", i)
        started = time.process_time()
        for i in range(times):
            await ctx.ask(server, Double(i))
        return time.process_time() - started

    seconds: float = await node.call(owner, host=host)
    return seconds


async def _ask_behind(unread: int, times: int) -> float:
    best = []
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        for count in (0, unread):
            best.append(min([await _asks(count, node, host, times) for _ in range(3)]))
    return best[1] / best[0]


def times_an_empty_mailbox(times: int) -> float:
    """CPU time of asks behind 500,000 unread messages, as a multiple of that behind none."""
    return trio.run(_ask_behind, 500_000, times)


# -- memory after many processes have come and gone


async def _nothing(ctx: ProcessContext) -> None:
    pass


async def _come_and_go(target: Any, n: int) -> int:
    """Bytes more after `n` processes than after a tenth of them."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        before = 0
        for batch in range(10):
            for _ in range(n // 1000):
                for _ in range(100):
                    host.spawn_soon(target)
                await host.join()
            if batch == 0:
                before = resident()
        assert node.statistics().exits == n
        return resident() - before


def growth(program: str, n: int) -> float:
    """The same in MB, in a fresh interpreter."""
    return fresh(__file__, program, n) / 2**20


TARGETS = {"function": _nothing, "async": AWAITING.brief, "plain": PLAIN.brief}

WORKLOADS = [
    Workload(
        "p99 delay beside 100 pairs",
        "ms",
        500,
        (
            Program("memory channels", functools.partial(milliseconds_beside, "channels")),
            Program("async function", functools.partial(milliseconds_beside, "function"), goal=2),
            Program("async handlers", functools.partial(milliseconds_beside, "async"), goal=2),
            Program("plain handlers", functools.partial(milliseconds_beside, "plain"), goal=2),
        ),
        better=Better.LOWER,
    ),
    Workload(
        "ask behind 500,000 unread",
        "x empty mailbox",
        500,
        (Program("async function", times_an_empty_mailbox, goal=2),),
        better=Better.LOWER,
        rounds=1,
    ),
    Workload(
        "growth by 1M spawns and exits",
        "MB",
        1_000_000,
        (
            Program("plain handlers", functools.partial(growth, "plain"), goal=1),
            Program("async handlers", functools.partial(growth, "async"), goal=1),
            Program("async function (100,000)", lambda n: growth("function", n // 10), goal=1),
        ),
        better=Better.LOWER,
        rounds=1,
    ),
]

if __name__ == "__main__":
    print(trio.run(_come_and_go, TARGETS[sys.argv[1]], int(sys.argv[2])))
