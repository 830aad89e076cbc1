"""Channels are the same whether their reader has a task or not."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
import trio
import trio.testing
from roaming import Function, has_task, rest, shown

from trio_actors import (
    EventKind,
    Host,
    Pid,
    ProcessContext,
    ProcessTimeout,
    Subscription,
)
from trio_actors._core import pace
from trio_actors._core.dispatch import TURN
from trio_actors._core.subscription import BUDGET

# -- order


@pytest.mark.parametrize("many", [False, True])
async def test_messages_are_read_in_the_order_in_which_they_were_sent(
    host: Host, way: str, many: bool
) -> None:
    """M12: handed over to who waits, sent while it is woken, queued, sent by itself."""
    read: list[int] = []

    async def reads(ctx: ProcessContext) -> None:
        ctx.send(ctx.pid, "number", 1)
        while True:
            messages = await ctx.inbox.receive_many() if many else [await ctx.inbox.receive()]
            read.extend(message.payload for message in messages)
            if read[-1] == 300:
                ctx.send(ctx.pid, "number", 301)

    def send(first: int, last: int) -> None:
        for number in range(first, last + 1):
            host.node.send(pid, "number", number)

    pid = host.spawn_soon(reads, messages=[("number", 0)])
    await rest()
    send(2, 2)
    await rest()
    send(3, 4)
    await rest()
    send(5, 5)
    await trio.lowlevel.checkpoint()
    send(6, 300)
    await rest()
    send(302, 303)
    await rest()
    assert read == [*range(304)]


@pytest.mark.parametrize("raw", [False, True])
async def test_many_messages_are_received_in_order_and_in_parts(
    host: Host, way: str, raw: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M12, fairness: at most 32 at a time with a task, 128 without; payloads if so wanted."""
    parts: list[list[Any]] = []

    async def reads(ctx: ProcessContext) -> None:
        channel = ctx.listen("number") if raw else ctx.inbox
        await ctx.receive("begin")
        while True:
            parts.append(await channel.receive_many())

    monkeypatch.setattr(pace, "perf_counter", lambda: 1.0)  # none of it takes time
    pid = await host.spawn(reads)
    await rest()
    for number in range(500):
        host.node.send(pid, "number", number)
    host.node.send(pid, "begin")
    await rest()
    host.node.send(pid, "number", 500)
    await rest()
    read = [item for part in parts for item in part]
    assert [item if raw else item.payload for item in read] == [*range(501)]
    assert max(len(part) for part in parts) == (BUDGET if way == "task" else TURN)
    assert len(parts[-1]) == 1
    assert has_task(host, pid) is (way == "task")


async def test_a_busy_function_lets_others_run(host: Host, way: str) -> None:
    """Fairness: as long as both have messages, neither takes many more than 128 in a row."""
    order: list[str] = []

    async def reads(ctx: ProcessContext, name: str) -> None:
        async for _ in ctx.inbox:
            order.append(name)

    pids = [await host.spawn(reads, name) for name in "ab"]
    await rest()
    for pid in pids:
        for _ in range(1000):
            host.node.send(pid, "go on")
    await rest()
    assert [order.count(name) for name in "ab"] == [1000, 1000]
    last = min(2000 - order[::-1].index(name) for name in "ab")  # here one has no more
    rows = [len([*row]) for _, row in groupby(order[:last])]
    assert max(rows) <= TURN + 1


async def test_a_checkpoint_lets_others_run(host: Host, way: str) -> None:
    """PY1: whoever can run has had a turn before it is over; messages come meanwhile."""
    order: list[tuple[int, str]] = []

    async def counts(ctx: ProcessContext, name: str) -> int:
        for number in range(10):
            order.append((number, name))
            ctx.send(ctx.pid, "number", number)
            await ctx.checkpoint()
        return len(ctx.inbox)

    pids = [host.spawn_soon(counts, name) for name in "abc"]
    await host.join()
    rounds = [sorted(order[number : number + 3]) for number in range(0, 30, 3)]
    assert rounds == [[(number, name) for name in "abc"] for number in range(10)]
    assert [shown(await host.node.wait(pid)) for pid in pids] == [10] * 3
    assert not host.node.tasked


# -- choosing


async def test_messages_that_are_passed_over_stay_in_order(host: Host, way: str) -> None:
    """L2: by topic, type, condition, and on a channel; waited for, and there already."""

    async def chooses(ctx: ProcessContext) -> list[Any]:
        first = await ctx.receive("b")
        second = await ctx.receive(str)
        third = await ctx.receive(lambda message: message.payload > 3)
        fourth = await ctx.inbox.receive_where(lambda message: message.topic == "d")
        there = await ctx.receive("a")
        rest = [await ctx.receive() for _ in range(3)]
        return [message.payload for message in (first, second, third, fourth, there, *rest)]

    for at_once in (False, True):
        pid = host.spawn_soon(chooses)
        for topic, payload in (
            ("c", 1),
            ("a", 2),
            ("a", 3),
            ("b", 0),
            ("s", "text"),
            ("n", 4),
            ("c", 5),
            ("d", 6),
        ):
            if not at_once:
                await rest()
            host.node.send(pid, topic, payload)
        end = shown(await host.node.wait(pid))
        assert end == [0, "text", 4, 6, 2, 1, 3, 5]


async def test_a_condition_that_fails_is_an_error_of_the_reader(host: Host, way: str) -> None:
    """L2: raised where it stands, not where somebody sends; the message stays."""

    async def chooses(ctx: ProcessContext) -> Any:
        with pytest.raises(ZeroDivisionError):
            await ctx.receive(lambda message: 1 / message.payload == 1)
        return (await ctx.receive()).payload

    pid = await host.spawn(chooses)
    await rest()
    host.node.send(pid, "number", 0)
    assert shown(await host.node.wait(pid)) == 0


async def test_a_message_that_did_not_come_in_time_is_an_error(host: Host, way: str) -> None:
    """Units: seconds or text; the next receive has no limit."""

    async def chooses(ctx: ProcessContext) -> Any:
        for timeout in (1, "500ms"):
            with pytest.raises(ProcessTimeout):
                await ctx.receive("wanted", timeout=timeout)
        return [(await ctx.receive("wanted", timeout=1)).payload, (await ctx.receive()).payload]

    pid = await host.spawn(chooses)
    await trio.sleep(1.2)
    host.node.send(pid, "other", 1)
    await trio.sleep(1)
    host.node.send(pid, "wanted", 2)
    assert shown(await host.node.wait(pid)) == [2, 1]
    assert trio.current_time() == 2.2


async def test_every_channel_gets_what_belongs_to_it(host: Host, way: str) -> None:
    """L2, L3, L7: topics, the inbox, events; read in turn by code that rests in each."""

    async def reads(ctx: ProcessContext, other: Pid) -> list[Any]:
        numbers, texts = ctx.listen("number"), ctx.listen("text", message=True)
        ctx.monitor(other)
        found = [await numbers.receive(), (await texts.receive()).payload]
        found.append((await ctx.inbox.receive()).payload)
        event = await ctx.events.receive()
        assert (event.kind, event.sender) == (EventKind.EXIT, other)
        return [*found, event.result.value]

    async def ends(ctx: ProcessContext) -> str:
        return str((await ctx.receive()).payload)

    other = await host.spawn(ends)
    pid = await host.spawn(reads, other)
    for topic, payload in (("other", 1), ("text", 2), ("number", 3)):
        await rest()
        host.node.send(pid, topic, payload)
    await rest()
    host.node.send(other, "end", "ended")
    assert shown(await host.node.wait(pid)) == [3, 2, 1, "ended"]


# -- closing


async def by_receive(channel: Subscription) -> None:
    with pytest.raises(trio.EndOfChannel):
        await channel.receive()


async def by_iteration(channel: Subscription) -> None:
    async for _ in channel:
        raise AssertionError("nothing came")


async def by_choice(channel: Subscription) -> None:
    with pytest.raises(trio.EndOfChannel):
        await channel.receive_where(lambda item: True)


async def by_many(channel: Subscription) -> None:
    with pytest.raises(trio.EndOfChannel):
        await channel.receive_many()


@pytest.mark.parametrize("name", ["inbox", "events", "topic"])
@pytest.mark.parametrize("wait", [by_receive, by_iteration, by_choice, by_many])
async def test_closing_a_channel_wakes_who_waits_in_it(
    host: Host, way: str, wait: Function, name: str
) -> None:
    """PY5, L10: while it rests, and with the channel closed already; later messages wait."""

    async def reads(ctx: ProcessContext) -> Any:
        channel = channels[0]
        for _ in range(2):
            await wait(channel)
        if name == "topic":
            return await ctx.listen("topic").receive()
        return (await ctx.receive()).payload

    channels: list[Subscription] = []
    pid = host.spawn_soon(reads)
    context = host.node.processes[pid].context
    opened = context.listen("topic") if name == "topic" else getattr(context, name)
    channels.append(opened)
    await rest()
    opened.close()
    host.node.send(pid, "topic", 5)
    assert shown(await host.node.wait(pid)) == 5


async def test_what_is_queued_in_a_closed_channel_can_be_read(host: Host, way: str) -> None:
    """PY5: then it ends."""

    async def reads(ctx: ProcessContext) -> list[int]:
        channel = ctx.listen("number")
        found = [await channel.receive()]
        channel.close()
        return found + [number async for number in channel]

    pid = await host.spawn(reads)
    await rest()
    for number in range(5):
        host.node.send(pid, "number", number)
    assert shown(await host.node.wait(pid)) == [0, 1, 2, 3, 4]
