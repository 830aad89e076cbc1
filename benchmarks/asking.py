"""Workloads about requests and replies with a server that is running: 1 client, 100 clients."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from awaiting import AWAITING
from harness import Program, Stopwatch, Workload
from plain import PLAIN


async def _channels(clients: int, n: int, watch: Stopwatch) -> int:
    """A server task with one channel; each client has a channel for its replies."""
    each = max(1, n // clients)
    requests, incoming = trio.open_memory_channel[Any](0)

    async def server() -> None:
        async for number, reply in incoming:
            await reply.send(2 * number)

    async def client() -> None:
        reply, answers = trio.open_memory_channel[int](0)
        for i in range(each):
            await requests.send((i, reply))
            await answers.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server)
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            async with trio.open_nursery() as inner:
                for _ in range(clients):
                    inner.start_soon(client)
        nursery.cancel_scope.cancel()
    return each * clients


async def one_channel(n: int, watch: Stopwatch) -> int:
    """One client."""
    return await _channels(1, n, watch)


async def many_channels(n: int, watch: Stopwatch) -> int:
    """100 clients."""
    return await _channels(100, n, watch)


WORKLOADS = [
    Workload(
        "ask, 1 client",
        "requests/s",
        8_000,
        (
            Program("memory channels", one_channel),
            Program("async handlers", AWAITING.ask_one, goal=2),
            Program("plain handlers", PLAIN.ask_one, goal=2),
        ),
    ),
    Workload(
        "ask, 100 clients",
        "requests/s",
        10_000,
        (
            Program("memory channels", many_channels),
            Program("async handlers", AWAITING.ask_many, goal=5),
            Program("plain handlers", PLAIN.ask_many, goal=6),
            Program("plain handlers, by mailbox", PLAIN.ask_many_by_mailbox, goal=6),
        ),
    ),
]
