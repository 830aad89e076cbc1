"""Workload about failures that spread: a chain of 10,000 links, the first one is killed."""

from __future__ import annotations

import thinnest_processes as thin
import trio
import trio.testing
from awaiting import AWAITING
from harness import Program, Stopwatch, Workload
from plain import PLAIN

from trio_actors import ProcessContext, open_node


async def cascade_scopes(n: int, watch: Stopwatch) -> int:
    """A task and a cancel scope each; whoever is cancelled cancels the next."""
    scopes = [trio.CancelScope() for _ in range(n)]

    async def member(me: int) -> None:
        with scopes[me]:
            await trio.sleep_forever()
        if me + 1 < n:
            scopes[me + 1].cancel()

    async with trio.open_nursery() as nursery:
        for i in range(n):
            nursery.start_soon(member, i)
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            scopes[0].cancel()
            while nursery.child_tasks:
                await trio.testing.wait_all_tasks_blocked()
    return n


async def cascade_nursery(n: int, watch: Stopwatch) -> int:
    """A nursery that is cancelled as a whole: the cheapest end of many tasks."""

    async def member() -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(member)
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                while nursery.child_tasks:
                    await trio.testing.wait_all_tasks_blocked()
    return n


async def linked(ctx: ProcessContext, peer: str | None) -> None:
    """Links itself to another and waits."""
    if peer is not None:
        ctx.link(peer)
    await ctx.inbox.receive()


async def cascade_async(n: int, watch: Stopwatch) -> int:
    """A chain of linked processes of ours, async functions."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        first = peer = host.spawn_soon(linked)
        for _ in range(n - 1):
            peer = host.spawn_soon(linked, peer)
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            node.terminate(first)
            await host.join()
    return n


WORKLOADS = [
    Workload(
        "link cascade 10,000",
        "exits/s",
        10_000,
        (
            Program("a cancel scope each", cascade_scopes),
            Program("one nursery cancelled", cascade_nursery),
            Program("thinnest task", thin.cascade_tasks),
            Program("thinnest server", thin.cascade_servers),
            Program("async function", cascade_async, goal=1.5),
            Program("async handlers", AWAITING.cascade, goal=1.5),
            Program("plain handlers", PLAIN.cascade, goal=5),
        ),
    ),
]
