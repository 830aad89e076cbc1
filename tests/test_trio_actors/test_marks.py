"""A mark stands in a queue where the next look at the clock is due: nobody else may meet it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from trio_actors import Bounded, Host, Message, Node, Pid, ProcessContext
from trio_actors._core import pace
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.subscription import BUDGET, Subscription

rest = trio.testing.wait_all_tasks_blocked
DONE = -1


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


async def test_a_channel_that_was_closed_counts_as_well(host: Host, steps: Steps) -> None:
    """Guarantee 47, L10: what it holds can still be read, as much of it as of others."""

    async def reads(ctx: ProcessContext) -> None:
        await trio.lowlevel.checkpoint()  # from now on it has a task
        closed, answers = ctx.listen("a"), ctx.listen("b")
        for _ in range(1000):
            ctx.send(ctx.pid, "a")
        closed.close()
        for count in (20, 40) * 20:
            for _ in range(min(count, len(closed))):
                await closed.receive()
                steps.took()
            ctx.start_task(answer, ctx)
            await answers.receive()

    async def answer(ctx: ProcessContext) -> None:
        ctx.send(ctx.pid, "b")

    trio.lowlevel.add_instrument(steps)
    await host.node.call(reads, host=host)
    assert sum(steps.taken.values()) == 1000
    assert max(steps.taken.values()) <= BUDGET


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


async def receives(inbox: Subscription) -> list[Any]:
    return [await inbox.receive()]


async def polls(inbox: Subscription) -> list[Any]:
    return [inbox.receive_nowait()]


async def chooses(inbox: Subscription) -> list[Any]:
    return [await inbox.receive_where(lambda message: True)]


READS = [receives, polls, chooses, Subscription.receive_many]


@pytest.mark.parametrize("after", [1, 2, 5])
@pytest.mark.parametrize("reading", READS)
async def test_an_interrupt_may_come_while_the_mark_is_moved(
    host: Host,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    reading: Callable[[Subscription], Awaitable[list[Message]]],
    after: int,
) -> None:
    """E38: who goes on nevertheless reads the rest, and nothing else."""
    look = PythonMailbox.look
    interrupted_at = []

    def interrupted(self: PythonMailbox) -> bool:
        monkeypatch.setattr(PythonMailbox, "look", look)
        interrupted_at.append(self)
        raise KeyboardInterrupt

    async def reads(ctx: ProcessContext) -> list[Any]:
        found = [(await ctx.inbox.receive()).payload]
        inbox = ctx.inbox
        while len(found) < 20:
            if len(found) == after:
                monkeypatch.setattr(PythonMailbox, "look", interrupted)
            try:
                found.append((await inbox.receive()).payload)
            except KeyboardInterrupt:
                while len(found) < 20:
                    found += [message.payload for message in await reading(inbox)]
        return found

    pid = await readers_of(host, reads, 20)
    end = await host.node.wait(pid)
    assert end.error is None
    assert end.value == [*range(20)]
    assert interrupted_at


async def test_an_interrupt_while_the_mark_is_moved_comes_out(
    node: Node, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """E38: and nothing else does."""

    def interrupted(self: PythonMailbox) -> bool:
        raise KeyboardInterrupt

    async def reads(ctx: ProcessContext) -> None:
        for _ in range(20):
            await ctx.inbox.receive()
            if ctx.inbox._marked:
                monkeypatch.setattr(PythonMailbox, "look", interrupted)

    with pytest.raises(KeyboardInterrupt):
        async with node.open_host("app:h", drain=0) as host:
            await readers_of(host, reads, 20)
            await trio.sleep(1)
    assert not node.processes
