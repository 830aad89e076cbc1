"""Planted races: small, wrong systems that ordinary runs never show, and their repaired twins.

Each is a test body `race(sim, repaired)`. `sim` needs `spawn`, `send`, `settle`, `run_for`, `node`.
"""

from __future__ import annotations

from typing import Any

import trio

from trio_actors import EventKind, ProcessContext, ProcessError


async def lost_update(sim: Any, repaired: bool) -> None:
    """Two clients read a counter and write back what they read plus one."""
    seen: list[int] = []

    async def counter(ctx: ProcessContext) -> None:
        value = 0
        async for message in ctx.inbox:
            match message.topic:
                case "get":
                    ctx.send(message.payload, "value", value)
                case "set":
                    value = message.payload
                    seen.append(value)
                case "add":
                    value += message.payload
                    seen.append(value)

    async def client(ctx: ProcessContext, other: str | None) -> None:
        await ctx.receive("go")
        if repaired:
            ctx.send("counter", "add", 1)
        else:
            ctx.send("counter", "get", ctx.pid)
            message = await ctx.receive("value")
            ctx.send("counter", "set", message.payload + 1)
        if other:
            ctx.send(other, "go")  # one after the other, as far as the clients can tell

    await sim.spawn(counter, name="counter")
    await sim.spawn(client, None, name="second")
    await sim.spawn(client, "second", name="first")
    sim.send("first", "go")
    await sim.settle()
    assert seen[-1] == 2, f"the counter is {seen[-1]} after two increments"


async def late_unregister(sim: Any, repaired: bool) -> None:
    """A worker that has died takes away, too late, the name that its successor holds by now."""
    names: dict[str, str] = {}

    async def registry(ctx: ProcessContext) -> None:
        async for message in ctx.inbox:
            name, pid = message.payload
            if message.topic == "register":
                names[name] = pid
                ctx.send(pid, "registered")
            elif not repaired or names.get(name) == pid:
                names.pop(name, None)

    async def worker(ctx: ProcessContext, life: int) -> None:
        ctx.send("registry", "register", "job", ctx.pid)
        await ctx.receive("registered")
        if life == 1:
            ctx.send("registry", "unregister", "job", ctx.pid)
            return
        await trio.sleep_forever()

    async def manager(ctx: ProcessContext) -> None:
        for life in (1, 2):
            await ctx.spawn(worker, life, name=f"w{life}", monitor=True)
            if life == 1:
                event = await ctx.events.receive()
                assert event.kind is EventKind.EXIT
        await trio.sleep_forever()

    await sim.spawn(registry, name="registry")
    await sim.spawn(manager, name="manager")
    await sim.settle()
    assert "job" in names, "the living worker has lost its name"


async def starved_watchdog(sim: Any, repaired: bool) -> None:
    """A watchdog counts its ticks between heartbeats and kills a worker that is healthy."""
    killed: list[str] = []

    async def watchdog(ctx: ProcessContext, worker: str) -> None:
        missed = 0
        async for message in ctx.inbox:
            if message.topic == "beat":
                missed = 0
            else:
                missed += 1
            if missed == 5:
                if not repaired:
                    killed.append(worker)
                    return
                ctx.send(worker, "ping", ctx.pid)  # only silence after a question is death
                missed = 0

    async def beating(ctx: ProcessContext) -> None:
        for _ in range(8):
            await ctx.receive("tick")
            ctx.send("watchdog", "beat")

    async def ticker(ctx: ProcessContext, worker: str) -> None:
        for _ in range(8):
            ctx.send(worker, "tick")
            ctx.send("watchdog", "tick")
            await trio.sleep(1)

    worker = await sim.spawn(beating, name="worker")
    await sim.spawn(watchdog, worker, name="watchdog")
    await sim.spawn(ticker, worker, name="ticker")
    await sim.run_for(10)
    assert not killed, "a healthy worker was killed"


async def stale_cache(sim: Any, repaired: bool) -> None:
    """A reader is told of a write before the cache is, and reads the old value."""
    read: list[str] = []

    async def cache(ctx: ProcessContext) -> None:
        value = "old"
        async for message in ctx.inbox:
            if message.topic == "put":
                value, writer = message.payload
                if repaired:
                    ctx.send(writer, "done")
            else:
                ctx.send(message.payload, "value", value)

    async def writer(ctx: ProcessContext) -> None:
        ctx.send("cache", "put", "new", ctx.pid)
        if repaired:
            await ctx.receive("done")
        ctx.send("reader", "written")

    async def reader(ctx: ProcessContext) -> None:
        await ctx.receive("written")
        ctx.send("cache", "get", ctx.pid)
        read.append((await ctx.receive("value")).payload)

    await sim.spawn(cache, name="cache")
    await sim.spawn(reader, name="reader")
    await sim.spawn(writer, name="writer")
    await sim.settle()
    assert read == ["new"], f"read {read} after the write"


async def late_reply(sim: Any, repaired: bool) -> None:
    """A client that gave up on its first question takes the late answer for that to its second."""
    got: list[int] = []

    async def doubler(ctx: ProcessContext) -> None:
        async for message in ctx.inbox:
            number, client = message.payload
            ctx.send(client, f"answer {number}" if repaired else "answer", 2 * number)

    async def client(ctx: ProcessContext) -> None:
        for number in (1, 2):
            ctx.send("doubler", "question", number, ctx.pid)
            topic = f"answer {number}" if repaired else "answer"
            try:
                got.append((await ctx.receive(topic, timeout=5)).payload / number)
            except ProcessError:
                continue

    await sim.spawn(doubler, name="doubler")
    await sim.spawn(client, name="client")
    await sim.settle()
    assert all(value == 2 for value in got), f"wrong answers: {got}"


async def missing_result(sim: Any, repaired: bool) -> None:
    """A parent takes a worker's end as a sign that the worker's result has arrived elsewhere."""
    totals: list[int] = []

    async def collector(ctx: ProcessContext) -> None:
        total = 0
        async for message in ctx.inbox:
            if message.topic == "result":
                total += message.payload[0]
                if repaired:
                    ctx.send(message.payload[1], "taken")
            else:
                totals.append(total)

    async def worker(ctx: ProcessContext) -> None:
        ctx.send("collector", "result", 7, ctx.pid)
        if repaired:
            await ctx.receive("taken")

    async def parent(ctx: ProcessContext) -> None:
        await ctx.spawn(worker, monitor=True)
        await ctx.events.receive()
        ctx.send("collector", "report")

    await sim.spawn(collector, name="collector")
    await sim.spawn(parent, name="parent")
    await sim.settle()
    assert totals == [7], f"the report says {totals}"


RACES = [
    lost_update,
    late_unregister,
    starved_watchdog,
    stale_cache,
    late_reply,
    missing_result,
]
