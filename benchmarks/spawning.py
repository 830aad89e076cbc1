"""Workloads about starting and ending: spawn + exit, call."""

from __future__ import annotations

from typing import Any

import thinnest_processes as thin
import trio
import trio.testing
from awaiting import AWAITING
from harness import Program, Stopwatch, Workload
from plain import PLAIN

from trio_actors import ProcessContext, open_node

# -- spawn + exit


async def spawn_channel(n: int, watch: Stopwatch) -> int:
    """A task with a memory channel of its own, as an addressable actor would have."""

    async def child(mine: Any) -> None:
        pass

    with watch:
        async with trio.open_nursery() as nursery:
            for _ in range(n):
                _, mine = trio.open_memory_channel[Any](1)
                nursery.start_soon(child, mine)
    return n


async def spawn_bare(n: int, watch: Stopwatch) -> int:
    """`start_soon` and nothing else."""

    async def child() -> None:
        pass

    with watch:
        async with trio.open_nursery() as nursery:
            for _ in range(n):
                nursery.start_soon(child)
    return n


async def nothing(ctx: ProcessContext) -> None:
    """A process that ends at once."""


async def spawn_async(n: int, watch: Stopwatch) -> int:
    """Processes of ours, async functions."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        with watch:
            for _ in range(n):
                host.spawn_soon(nothing)
            await host.join()
    return n


# -- idle: start 10,000 that wait for a message


async def idle_channel(n: int, watch: Stopwatch) -> int:
    """Tasks that wait on a memory channel each."""

    async def child(mine: Any) -> None:
        await mine.receive()

    senders = []
    async with trio.open_nursery() as nursery:
        with watch:
            for _ in range(n):
                sender, mine = trio.open_memory_channel[Any](1)
                senders.append(sender)
                nursery.start_soon(child, mine)
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return n


async def waiting(ctx: ProcessContext) -> None:
    """A process that waits for one message."""
    await ctx.inbox.receive()


async def idle_async(n: int, watch: Stopwatch) -> int:
    """Processes of ours that wait for a message, async functions."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        with watch:
            for _ in range(n):
                host.spawn_soon(waiting)
            await trio.testing.wait_all_tasks_blocked()
    return n


# -- call: spawn and wait for the result


async def call_channel(n: int, watch: Stopwatch) -> int:
    """`start_soon` a task that answers on a memory channel made for this call."""

    async def child(value: int, answer: Any) -> None:
        await answer.send(value)

    async with trio.open_nursery() as nursery:
        with watch:
            for i in range(n):
                sender, receiver = trio.open_memory_channel[Any](1)
                nursery.start_soon(child, i, sender)
                await receiver.receive()
    return n


async def call_nursery(n: int, watch: Stopwatch) -> int:
    """A nursery for each call, the usual Trio way to wait for a task."""
    answers: list[int] = []

    async def child(value: int) -> None:
        answers.append(value)

    with watch:
        for i in range(n):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child, i)
    return n


async def same(ctx: ProcessContext, value: int) -> int:
    """Returns its argument."""
    return value


async def call_async(n: int, watch: Stopwatch) -> int:
    """`node.call` of a process of ours."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        with watch:
            for i in range(n):
                await node.call(same, i, host=host)
    return n


WORKLOADS = [
    Workload(
        "spawn + exit",
        "processes/s",
        10_000,
        (
            Program("start_soon + memory channel", spawn_channel),
            Program("start_soon", spawn_bare),
            Program("thinnest task", thin.spawn_tasks),
            Program("thinnest server", thin.of_servers(thin.Brief)),
            Program("async function", spawn_async, goal=1),
            Program("async handlers", AWAITING.spawn, goal=1),
            Program("plain handlers", PLAIN.spawn, goal=5),
        ),
    ),
    Workload(
        "spawn 10,000 idle",
        "processes/s",
        10_000,
        (
            Program("start_soon + memory channel", idle_channel),
            Program("thinnest task", thin.idle_tasks),
            Program("thinnest server", thin.of_servers(thin.Idle)),
            Program("async function", idle_async, goal=1.5),
            Program("async handlers", AWAITING.idle, goal=1.5),
            Program("plain handlers", PLAIN.idle, goal=15),
        ),
    ),
    Workload(
        "call",
        "calls/s",
        3_000,
        (
            Program("start_soon + memory channel", call_channel),
            Program("a nursery each", call_nursery),
            Program("async function", call_async),
        ),
    ),
]
