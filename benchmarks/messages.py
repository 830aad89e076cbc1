"""Workloads about passing messages: ping-pong, firehose, ring, fan-in, all-to-all, wake-up."""

from __future__ import annotations

from typing import Any

import thinnest_messages as thinnest
import trio
import trio.testing
from awaiting import AWAITING, THAT_WAIT
from floors import DequeMailbox, channels
from harness import Program, Stopwatch, Workload
from plain import PLAIN

from trio_actors import ProcessContext, open_node

RING = 503
SENDERS = 1000
CROWD = 200
IDLE = 10_000


# -- ping-pong: operations are round trips


async def ping_channel(n: int, watch: Stopwatch) -> int:
    """Two tasks, two unbuffered memory channels."""
    (there_s, there_r), (back_s, back_r) = channels(2, 0)

    async def echo() -> None:
        async for item in there_r:
            await back_s.send(item)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        with watch:
            for i in range(n):
                await there_s.send(i)
                await back_r.receive()
        there_s.close()
    return n


async def ping_deque(n: int, watch: Stopwatch) -> int:
    """Two tasks, two deques, `wait_task_rescheduled`."""
    there, back = DequeMailbox(), DequeMailbox()

    async def echo() -> None:
        while True:
            back.put(await there.get())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        with watch:
            for i in range(n):
                there.put(i)
                await back.get()
        nursery.cancel_scope.cancel()
    return n


async def checkpoints(n: int, watch: Stopwatch) -> int:
    """What one checkpoint costs, for scale: two of them count as a round trip."""
    checkpoint = trio.lowlevel.checkpoint
    with watch:
        for _ in range(n):
            await checkpoint()
            await checkpoint()
    return n


async def echo_process(ctx: ProcessContext) -> None:
    """Answers every message."""
    send = ctx.send
    async for message in ctx.inbox:
        send(message.sender, "pong", message.payload)


async def ping_async(n: int, watch: Stopwatch) -> int:
    """Two processes of ours, async functions."""

    async def pinger(ctx: ProcessContext, peer: str) -> None:
        inbox = ctx.inbox
        with watch:
            for i in range(n):
                ctx.send(peer, "ping", i)
                await inbox.receive()

    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        peer = await host.spawn(echo_process)
        await node.call(pinger, peer, host=host)
    return n


# -- firehose: one producer, one consumer


async def hose_channel(n: int, watch: Stopwatch) -> int:
    """A memory channel of 64 places."""
    ((sender, receiver),) = channels(1, 64)

    async def produce() -> None:
        async with sender:
            for i in range(n):
                await sender.send(i)

    with watch:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(produce)
            async for _ in receiver:
                pass
    return n


async def hose_unbounded(n: int, watch: Stopwatch) -> int:
    """An unbounded memory channel and `send_nowait`, a checkpoint every 64 items."""
    ((sender, receiver),) = channels(1, float("inf"))

    async def produce() -> None:
        with sender:
            for i in range(n):
                sender.send_nowait(i)
                if not i % 64:
                    await trio.lowlevel.checkpoint()

    with watch:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(produce)
            async for _ in receiver:
                pass
    return n


async def _hose(n: int, watch: Stopwatch, consumer: Any) -> int:
    """Two processes of ours, async functions; others have their turn every 64 sends."""

    async def producer(ctx: ProcessContext, peer: str) -> None:
        send = ctx.send
        for start in range(0, n, 64):
            for i in range(start, min(start + 64, n)):
                send(peer, "item", i)
            await ctx.checkpoint()

    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        peer = await host.spawn(consumer, n)
        with watch:
            host.spawn_soon(producer, peer)
            await host.join()
    return n


async def one_by_one(ctx: ProcessContext, n: int) -> None:
    """Receives `n` messages."""
    inbox = ctx.inbox
    for _ in range(n):
        await inbox.receive()


async def many_at_once(ctx: ProcessContext, n: int) -> None:
    """The same; whatever is there at once."""
    inbox = ctx.inbox
    while n:
        for _ in await inbox.receive_many():
            n -= 1


async def hose_async(n: int, watch: Stopwatch) -> int:
    """Received one by one."""
    return await _hose(n, watch, one_by_one)


async def hose_many(n: int, watch: Stopwatch) -> int:
    """Received with `receive_many`."""
    return await _hose(n, watch, many_at_once)


# -- ring: operations are hops of one token


async def ring_channel(n: int, watch: Stopwatch) -> int:
    """503 tasks, 503 unbuffered memory channels."""
    ring = channels(RING, 0)
    done = trio.Event()

    async def member(source: Any, target: Any) -> None:
        async for token in source:
            if token >= n:
                done.set()
                return
            await target.send(token + 1)

    async with trio.open_nursery() as nursery:
        for i in range(RING):
            nursery.start_soon(member, ring[i][1], ring[(i + 1) % RING][0])
        with watch:
            await ring[0][0].send(0)
            await done.wait()
        nursery.cancel_scope.cancel()
    return n


async def ring_async(n: int, watch: Stopwatch) -> int:
    """503 processes of ours, async functions."""
    done = trio.Event()

    async def member(ctx: ProcessContext) -> None:
        target: str = (await ctx.inbox.receive()).payload
        send = ctx.send
        async for message in ctx.inbox:
            token = message.payload
            if token >= n:
                done.set()
                return
            send(target, "token", token + 1)

    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        pids = [host.spawn_soon(member) for _ in range(RING)]
        for i, pid in enumerate(pids):
            node.send(pid, "next", pids[(i + 1) % RING])
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            node.send(pids[0], "token", 0)
            await done.wait()
    return n


# -- fan-in: 1,000 senders, one receiver


async def fan_channel(n: int, watch: Stopwatch) -> int:
    """A memory channel of 64 places, a clone for each sender."""
    ((sender, receiver),) = channels(1, 64)
    each = max(1, n // SENDERS)

    async def produce(mine: Any) -> None:
        async with mine:
            for i in range(each):
                await mine.send(i)

    async with trio.open_nursery() as nursery:
        with watch:
            async with sender:
                for _ in range(SENDERS):
                    nursery.start_soon(produce, sender.clone())
            async for _ in receiver:
                pass
    return each * SENDERS


async def fan_async(n: int, watch: Stopwatch) -> int:
    """1,000 processes of ours send to one, async functions."""
    each = max(1, n // SENDERS)

    async def consumer(ctx: ProcessContext) -> None:
        inbox = ctx.inbox
        for _ in range(each * SENDERS):
            await inbox.receive()

    async def producer(ctx: ProcessContext, peer: str) -> None:
        send = ctx.send
        for i in range(each):
            send(peer, "item", i)

    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        peer = await host.spawn(consumer)
        with watch:
            for _ in range(SENDERS):
                host.spawn_soon(producer, peer)
            await host.join()
    return each * SENDERS


# -- all-to-all: everybody sends to everybody else


async def all_channel(n: int, watch: Stopwatch) -> int:
    """200 tasks with an unbounded memory channel each."""
    crowd = channels(CROWD, float("inf"))
    times = max(1, n // CROWD**2)

    async def member(me: int) -> None:
        mine = crowd[me][1]
        for _ in range(times):
            for other, (sender, _) in enumerate(crowd):
                if other != me:
                    await sender.send(me)
            for _ in range(CROWD - 1):
                await mine.receive()

    with watch:
        async with trio.open_nursery() as nursery:
            for i in range(CROWD):
                nursery.start_soon(member, i)
    return times * CROWD * (CROWD - 1)


async def all_async(n: int, watch: Stopwatch) -> int:
    """200 processes of ours, async functions."""
    times = max(1, n // CROWD**2)

    async def member(ctx: ProcessContext) -> None:
        inbox = ctx.inbox
        others: list[str] = (await ctx.receive("others")).payload
        send = ctx.send
        for _ in range(times):
            for other in others:
                send(other, "hello", None)
            for _ in others:
                await inbox.receive()

    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        pids = [host.spawn_soon(member) for _ in range(CROWD)]
        with watch:
            for pid in pids:
                node.send(pid, "others", [other for other in pids if other != pid])
            await host.join()
    return times * CROWD * (CROWD - 1)


# -- wake-up: one message to each of 10,000 idle ones, until all have seen it


async def _wake_channels(n: int, watch: Stopwatch, wait: bool) -> int:
    crowd = channels(n, 1)
    done = trio.Event()
    seen = 0

    async def member(mine: Any) -> None:
        nonlocal seen
        await mine.receive()
        seen += 1
        if seen == n:
            done.set()
        await mine.receive()

    async with trio.open_nursery() as nursery:
        for _, mine in crowd:
            nursery.start_soon(member, mine)
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            for sender, _ in crowd:
                if wait:
                    await sender.send(None)
                else:
                    sender.send_nowait(None)
            await done.wait()
        nursery.cancel_scope.cancel()
    return n


async def wake_channel(n: int, watch: Stopwatch) -> int:
    """10,000 tasks, each waiting on a memory channel of its own; `await send` to each."""
    return await _wake_channels(n, watch, True)


async def wake_nowait(n: int, watch: Stopwatch) -> int:
    """The same with `send_nowait`, all in one turn."""
    return await _wake_channels(n, watch, False)


async def wake_async(n: int, watch: Stopwatch) -> int:
    """10,000 idle processes of ours, async functions."""
    done = trio.Event()
    seen = 0

    async def member(ctx: ProcessContext) -> None:
        nonlocal seen
        await ctx.inbox.receive()
        seen += 1
        if seen == n:
            done.set()
        await ctx.inbox.receive()

    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        pids = [host.spawn_soon(member) for _ in range(n)]
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            for pid in pids:
                node.send(pid, "wake")
            await done.wait()
    return n


WORKLOADS = [
    Workload(
        "ping-pong",
        "round trips/s",
        8_000,
        (
            Program("memory channel", ping_channel),
            Program("deque + reschedule", ping_deque),
            Program("two checkpoints", checkpoints),
            Program("async function", ping_async, goal=2),
            Program("async handlers", AWAITING.ping, goal=2),
            Program("async handlers that wait", THAT_WAIT.ping),
            Program("plain handlers", PLAIN.ping, goal=10),
        ),
    ),
    Workload(
        "firehose",
        "messages/s",
        100_000,
        (
            Program("memory channel of 64", hose_channel, divide=5),
            Program("unbounded channel, send_nowait", hose_unbounded, divide=5),
            Program("thinnest possible, a task each", thinnest.hose),
            Program("thinnest possible, stepped", thinnest.hose_plain),
            Program("async function", hose_async, goal=15),
            Program("async function, receive_many", hose_many, goal=15),
            Program("async handlers", AWAITING.hose, goal=15),
            Program("plain handlers", PLAIN.hose, goal=20),
        ),
    ),
    Workload(
        "ring of 503",
        "hops/s",
        20_000,
        (
            Program("memory channel", ring_channel),
            Program("async function", ring_async, goal=2),
            Program("async handlers", AWAITING.ring, goal=2),
            Program("plain handlers", PLAIN.ring, goal=12),
        ),
    ),
    Workload(
        "fan-in 1000",
        "messages/s",
        100_000,
        (
            Program("memory channel of 64", fan_channel, divide=4),
            Program("async function", fan_async, goal=10),
            Program("async handlers", AWAITING.fan, goal=10),
            Program("plain handlers", PLAIN.fan, goal=12),
        ),
    ),
    Workload(
        "all-to-all 200",
        "messages/s",
        80_000,
        (
            Program("unbounded channels", all_channel, divide=2),
            Program("async function", all_async, goal=4),
            Program("async handlers", AWAITING.all_to_all, goal=4),
            Program("plain handlers", PLAIN.all_to_all, goal=7),
        ),
    ),
    Workload(
        "wake-up 10,000",
        "processes/s",
        IDLE,
        (
            Program("memory channel", wake_channel),
            Program("memory channel, send_nowait", wake_nowait),
            Program("thinnest possible, a task each", thinnest.wake),
            Program("async function", wake_async, goal=4),
            Program("async handlers", AWAITING.wake, goal=4),
            Program("plain handlers", PLAIN.wake, goal=7),
        ),
    ),
]
