"""Several readers of one channel, and mailboxes of several kinds: with a task or without."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from carriers import at_rest
from roaming import has_task, rest, shown

from trio_actors import Bounded, Host, Node, ProcessContext, ProcessUnavailable

# -- several readers


async def test_the_longest_waiting_reader_is_served_first(host: Host, way: str) -> None:
    """PY4: child tasks and the main code, whichever waits longer; again and again."""
    readers: dict[int, str] = {}

    async def reader(ctx: ProcessContext, name: str) -> None:
        async for message in ctx.inbox:
            readers[message.payload] = name

    async def main(ctx: ProcessContext) -> None:
        ctx.start_task(reader, ctx, "first")
        await ctx.events.receive()
        ctx.start_task(reader, ctx, "third")
        await reader(ctx, "second")

    pid = await host.spawn(main)
    await rest()
    host.node.cancel(pid)  # an event only
    await rest()
    for number in range(6):
        host.node.send(pid, "number", number)
        if number < 3:
            await rest()
    await rest()
    assert [readers[number] for number in range(6)] == ["first", "second", "third"] * 2


@pytest.mark.parametrize("cancelled", ["child", "main"])
async def test_a_reader_that_was_cancelled_takes_nothing(
    host: Host, way: str, cancelled: str
) -> None:
    """PY4: what comes in the same moment goes to the one that waits behind it."""
    read: list[tuple[str, int]] = []
    scopes: list[trio.CancelScope] = []

    async def reads(ctx: ProcessContext, name: str) -> None:
        if name == cancelled:
            with trio.CancelScope() as scope:
                scopes.append(scope)
                await ctx.inbox.receive()
            read.append((f"{name} was cancelled", 0))
            await trio.sleep_forever()
        async for message in ctx.inbox:
            read.append((name, message.payload))

    async def main(ctx: ProcessContext) -> None:
        if cancelled == "child":
            ctx.start_task(reads, ctx, "child")
            await ctx.events.receive()
        else:

            async def later() -> None:
                await trio.sleep(1)
                await reads(ctx, "child")

            ctx.start_task(later)
        await reads(ctx, "main")

    pid = await host.spawn(main)
    await trio.sleep(2)
    host.node.cancel(pid)
    await rest()
    scopes[0].cancel()
    for number in (1, 2):
        host.node.send(pid, "number", number)
    await rest()
    other = "main" if cancelled == "child" else "child"
    assert sorted(read, key=lambda one: one[1]) == [
        (f"{cancelled} was cancelled", 0),
        (other, 1),
        (other, 2),
    ]


async def test_who_chooses_and_who_does_not_share_a_channel(host: Host, way: str) -> None:
    """PY4: who waits longer comes first if it wants the message, in each round anew."""
    read: list[tuple[str, Any]] = []

    async def chooses(ctx: ProcessContext) -> None:
        for _ in range(2):
            message = await ctx.receive("wanted")
            read.append(("chooses", message.payload))

    async def main(ctx: ProcessContext) -> None:
        await ctx.receive("begin")
        ctx.start_task(chooses, ctx)
        await ctx.receive("begin")
        async for message in ctx.inbox:
            read.append(("any", message.payload))

    pid = await host.spawn(main)
    for topic, payload in (
        ("begin", 0),
        ("begin", 0),
        ("other", 1),
        ("wanted", 2),
        ("wanted", 3),
        ("other", 4),
        ("wanted", 5),
        ("wanted", 6),
    ):
        await rest()
        host.node.send(pid, topic, payload)
    await rest()
    assert read == [
        ("any", 1),
        ("chooses", 2),
        ("any", 3),
        ("any", 4),
        ("chooses", 5),
        ("any", 6),
    ]


# -- mailboxes


@pytest.mark.parametrize("many", [False, True])
async def test_a_limited_mailbox_has_room_as_messages_are_taken(
    host: Host, way: str, many: bool
) -> None:
    """M13: who waits for room is served in order, and the reader gets all of it."""
    node = host.node
    read: list[int] = []

    async def reads(ctx: ProcessContext) -> None:
        channel = ctx.listen("number", message=True)
        async for _ in ctx.events:
            messages = await channel.receive_many() if many else [await channel.receive()]
            read.extend(message.payload for message in messages)

    async def send(number: int) -> None:
        await node.asend(pid, "number", number)

    pid = await host.spawn(reads, mailbox=Bounded(3, overflow="block"))
    await rest()
    for number in range(3):
        node.send(pid, "number", number)
    with pytest.raises(ProcessUnavailable, match="mailbox is full"):
        node.send(pid, "number", 4)
    async with trio.open_nursery() as nursery:
        for number in range(3, 8):
            nursery.start_soon(send, number)
            await rest()
        node.cancel(pid)  # an event only
        await rest()
        assert read == ([0, 1, 2] if many else [0])
        assert node.processes[pid].mailbox.depth() == 3
        while len(read) < 8:
            node.cancel(pid)
            await rest()
    assert read == [*range(8)]
    assert has_task(host, pid) is (way == "task")


async def test_a_host_that_copies_copies_for_resting_functions_too(node: Node, way: str) -> None:
    """M26: handed over, queued, and received together; arguments and result as well."""
    sent: list[list[int]] = [[number] for number in range(5)]
    argument = [0]

    async def reads(ctx: ProcessContext, given: list[int]) -> list[Any]:
        assert given == argument
        assert given is not argument
        found = [(await ctx.inbox.receive()).payload]
        while len(found) < 5:
            found += [message.payload for message in await ctx.inbox.receive_many()]
        result.append(found)
        return found

    result: list[Any] = []
    async with node.open_host("app:copies", copy_messages=True, drain=0) as host:
        pid = await host.spawn(reads, argument)
        await rest()
        for number, payload in enumerate(sent):
            node.send(pid, "list", payload)
            if number < 2:
                await rest()
        sent[4].append(5)
        end = shown(await node.wait(pid))
    assert end == [[0], [1], [2], [3], [4]]
    assert end is not result[0]
    assert not any(one is other for one in result[0] for other in sent)
    await trio.lowlevel.checkpoint()


async def test_a_channel_of_another_process_can_be_read(host: Host, way: str) -> None:
    """PY4: by code that has no right to its turns; both read."""

    async def main(ctx: ProcessContext) -> int:
        return int((await ctx.inbox.receive()).payload)

    async def reads(ctx: ProcessContext, other: ProcessContext) -> int:
        return int((await other.inbox.receive()).payload)

    pid = await host.spawn(main)
    await rest()
    second = await host.spawn(reads, host.node.processes[pid].context)
    await rest()
    assert has_task(host, second)
    host.node.send(pid, "number", 1)
    host.node.send(pid, "number", 2)
    assert [shown(await host.node.wait(one)) for one in (pid, second)] == [1, 2]
    await at_rest(host)
