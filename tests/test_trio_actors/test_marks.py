"""A mark stands in a queue where the next look at the clock is due: nobody else may meet it."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from trio_actors import Bounded, Host, Message, Node, Pid, ProcessContext
from trio_actors import sys as inspection
from trio_actors._core import pace
from trio_actors._core.subscription import BUDGET

rest = trio.testing.wait_all_tasks_blocked
DONE = -1


class Readings:
    """What a process has read by some choice of the ways to read, and what it had to read."""

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(seed)
        self.queues: dict[str, deque[int]] = {"inbox": deque(), "topic": deque()}
        self.sent = 0

    def next(self, channel: str) -> int:
        """One more number was sent there."""
        self.sent += 1
        self.queues[channel].append(self.sent)
        return self.sent

    def check(self, channel: str, numbers: list[int]) -> None:
        """That they are the oldest ones there; and forgets them."""
        expected = self.queues[channel]
        assert numbers == [expected.popleft() for _ in numbers]


async def read_by_choice(ctx: ProcessContext, readings: Readings, channels: list[str]) -> None:
    """Sends to itself and reads, a hundred times, in some way; then reads the rest."""
    choice = readings.choice
    inbox, topic = ctx.inbox, (ctx.listen("topic") if "topic" in channels else ctx.inbox)

    def send(channel: str, count: int) -> None:
        for _ in range(count):
            ctx.send(ctx.pid, channel, readings.next(channel))

    async def receive(channel: str, count: int) -> None:
        queue = readings.queues[channel]
        for _ in range(min(count, len(queue))):
            item = await (inbox.receive() if channel == "inbox" else topic.receive())
            readings.check(channel, [item.payload if channel == "inbox" else item])

    async def receive_many(channel: str, count: int) -> None:
        if readings.queues[channel]:
            items = await (inbox if channel == "inbox" else topic).receive_many()
            numbers = [item.payload if channel == "inbox" else item for item in items]
            readings.check(channel, numbers)

    async def receive_nowait(channel: str, count: int) -> None:
        for _ in range(min(count, len(readings.queues[channel]))):
            item = (inbox if channel == "inbox" else topic).receive_nowait()
            readings.check(channel, [item.payload if channel == "inbox" else item])

    async def receive_where(channel: str, count: int) -> None:
        queue = readings.queues["inbox"]
        if queue:
            number = choice.choice(queue)
            message: Message = await inbox.receive_where(lambda m: bool(m.payload == number))
            assert message.payload == number
            queue.remove(number)

    async def look(channel: str, count: int) -> None:
        queues = readings.queues
        assert len(inbox) == len(queues["inbox"])
        assert "topic" not in channels or len(topic) == len(queues["topic"])
        unread = sum(map(len, queues.values()))
        assert inspection.view(ctx.node, ctx.pid).mailbox == unread

    async def pause(channel: str, count: int) -> None:
        await ctx.checkpoint()

    ways = [receive, receive, receive, receive_many, receive_nowait, receive_where, look, pause]
    for _ in range(100):
        send(choice.choice(channels), choice.choice([0, 1, 5, 70]))
        await choice.choice(ways)(choice.choice(channels), choice.choice([1, 2, 10, 40]))
    for channel in channels:
        await receive(channel, 10_000)
    await look("inbox", 0)


@pytest.mark.parametrize("channels", [["inbox"], ["inbox", "topic"]])
@pytest.mark.parametrize("seed", range(12))
async def test_however_one_reads_each_message_is_read_once_and_in_order(
    host: Host, way: str, seed: int, channels: list[str]
) -> None:
    """M12, PY4: with `receive`, by many, without waiting, or chosen; what is unread is known."""
    await host.node.call(read_by_choice, Readings(seed), channels, host=host)


async def readers_of(
    host: Host, reads: Callable[[ProcessContext], Awaitable[Any]], count: int, **how: Any
) -> Pid:
    """A process that has been sent so many numbers, from 0 on, and has read some of them."""
    pid = host.spawn_soon(reads, **how)
    await rest()
    for number in range(count):
        host.node.send(pid, "number", number)
    await rest()
    return pid


async def test_an_upgrade_finds_what_was_not_read(host: Host, way: str) -> None:
    """U3: in order, and nothing else."""
    found: list[Any] = []

    async def reads(ctx: ProcessContext) -> None:
        for _ in range(5):
            await ctx.inbox.receive()
        await ctx.upgrade(successor)

    async def successor(ctx: ProcessContext) -> None:
        found.extend(message.payload for message in await ctx.inbox.receive_many())

    pid = await readers_of(host, reads, 20)
    await host.node.wait(pid)
    assert found == [*range(5, 20)]


async def test_a_limit_drops_the_oldest_of_what_was_not_read(host: Host, way: str) -> None:
    """What a limit counts, and drops, are messages."""
    found: list[Any] = []

    async def reads(ctx: ProcessContext) -> None:
        for _ in range(3):
            found.append((await ctx.inbox.receive()).payload)
        await ctx.events.receive()
        while len(ctx.inbox):
            found.append((await ctx.inbox.receive()).payload)

    pid = await readers_of(host, reads, 10, mailbox=Bounded(10, "drop_old"))
    for number in range(10, 15):
        host.node.send(pid, "number", number)
    host.node.cancel(pid)
    await host.node.wait(pid)
    assert found == [0, 1, 2, *range(5, 15)]
    assert host.node.dead_letters.count == 2


async def test_an_end_in_the_middle_of_a_queue_leaves_nothing_behind(node: Node, way: str) -> None:
    """L14: whatever stood in the queue."""

    left: list[Any] = []

    async def reads(ctx: ProcessContext) -> None:
        left.append(ctx.inbox)
        for _ in range(5):
            await ctx.inbox.receive()

    async with node.open_host("app:short") as host:
        pid = await readers_of(host, reads, 20)
        assert (await node.wait(pid)).error is None
        with pytest.raises(trio.EndOfChannel):
            await left[0].receive()


class Steps(trio.abc.Instrument):
    """Counts what is taken in each step of a task: between two of one task lies a checkpoint."""

    def __init__(self) -> None:
        self.count = 0
        self.taken: Counter[int] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1

    def took(self) -> None:
        """One more."""
        self.taken[self.count] += 1


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Counts in this run; nothing in it takes time."""
    monkeypatch.setattr(pace, "perf_counter", lambda: 1.0)
    return Steps()


@pytest.mark.parametrize("seed", range(8))
async def test_channels_share_what_may_be_taken(host: Host, steps: Steps, seed: int) -> None:
    """Guarantee 47: at most 32 of all channels, also if some of it was not taken before."""
    choice = random.Random(seed)

    async def answers(ctx: ProcessContext, pid: Pid) -> None:
        async for _ in ctx.inbox:
            ctx.send(pid, "answer")

    async def reads(ctx: ProcessContext) -> None:
        await trio.lowlevel.checkpoint()  # from now on it has a task
        channels = [ctx.inbox, ctx.listen("a"), ctx.listen("b")]
        answer = ctx.listen("answer")
        asked = await ctx.spawn(answers, ctx.pid)
        for topic in ("inbox", "a", "b"):
            for _ in range(1000):
                ctx.send(ctx.pid, topic)
        while any(map(len, channels)):
            channel = choice.choice(channels)
            for _ in range(min(choice.randrange(40), len(channel))):
                await channel.receive()
                steps.took()
            if choice.random() < 0.2:
                ctx.send(asked, "question")
                await answer.receive()
                steps.took()
        ctx.terminate(asked)

    trio.lowlevel.add_instrument(steps)
    await host.node.call(reads, host=host)
    assert sum(steps.taken.values()) > 3000
    assert max(steps.taken.values()) == BUDGET


async def test_what_else_is_done_with_a_queue_takes_no_time_away(host: Host, steps: Steps) -> None:
    """Guarantee 47: 32 messages between checkpoints, not fewer; `receive_nowait` is not counted."""

    async def reads(ctx: ProcessContext) -> None:
        await trio.lowlevel.checkpoint()  # from now on it has a task
        for _ in range(6400):
            ctx.send(ctx.pid, "number")
        while len(ctx.inbox):
            await ctx.inbox.receive()
            steps.took()
            ctx.inbox.receive_nowait()

    trio.lowlevel.add_instrument(steps)
    await host.node.call(reads, host=host)
    assert max(steps.taken.values()) == BUDGET
    assert len(steps.taken) == 3200 / BUDGET


async def test_what_was_not_taken_is_left_to_others(host: Host, steps: Steps) -> None:
    """Guarantee 47: a turn of the dispatcher is 1,024 messages, with one for the turn of each."""

    async def reads(ctx: ProcessContext) -> None:
        for _ in range(3000):
            ctx.send(ctx.pid, "number")
        for _ in range(1000):
            for _ in range(3):
                await ctx.inbox.receive()
                steps.took()
            await ctx.checkpoint()

    trio.lowlevel.add_instrument(steps)
    await host.node.call(reads, host=host)
    assert max(steps.taken.values()) == 1024 / 4 * 3


async def test_two_readers_of_a_queue_do_not_meet_the_mark(host: Host) -> None:
    """PY4: tasks of one process that read in turns, while others send, read everything once."""
    read: list[int] = []

    async def reads(ctx: ProcessContext) -> None:
        async def reader(count: int) -> None:
            while True:
                for _ in range(count):
                    number = (await ctx.inbox.receive()).payload
                    if number == DONE:
                        ctx.send(ctx.pid, "number", DONE)
                        return
                    read.append(number)
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for count in (1, 3, 50):
                nursery.start_soon(reader, count)

    async def sends(ctx: ProcessContext, pid: Pid, first: int) -> None:
        for number in range(first, first + 300):
            ctx.send(pid, "number", number)
            if not number % 7:
                await ctx.checkpoint()

    pid = await host.spawn(reads)
    for first in (0, 300):
        await host.node.call(sends, pid, first, host=host)
    host.node.send(pid, "number", DONE)
    await host.node.wait(pid)
    assert sorted(read) == [*range(600)]
