"""Fairness: how much is taken between two checkpoints (guarantees 47 and 48)."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing

from trio_actors import Host, Message, ProcessContext, Server, handles
from trio_actors._core import pace

MESSAGES = 3200


class Steps(trio.abc.Instrument):
    """Counts the steps of all tasks: between two of one task lies a checkpoint."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


@pytest.fixture
def steps() -> Steps:
    """Installed in the run of the test."""
    return Steps()


class HandClock:
    """The processor clock that limits turns, set by hand."""

    def __init__(self) -> None:
        self.now = 1.0
        self.per_message = 0.0

    def work(self) -> None:
        """What handling a message takes."""
        self.now += self.per_message


@pytest.fixture
def hand_clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """Installed in place of the processor's."""
    clock = HandClock()
    monkeypatch.setattr(pace, "perf_counter", lambda: clock.now)
    return clock


async def taken_per_step(
    host: Host, channel: str, steps: Steps, clock: HandClock, task: bool = True
) -> list[int]:
    """How many messages a busy reader takes in each of its steps."""
    taken: Counter[int] = Counter()

    async def reader(ctx: ProcessContext) -> None:
        if task:  # its own, from now on
            await trio.lowlevel.checkpoint()
        subscription = ctx.inbox if channel == "inbox" else ctx.listen("t")
        for _ in range(MESSAGES):
            ctx.send(ctx.pid, "t")
        for _ in range(MESSAGES):
            await subscription.receive()
            taken[steps.count] += 1
            clock.work()

    trio.lowlevel.add_instrument(steps)
    await host.node.call(reader, host=host)
    return list(taken.values())


@pytest.mark.parametrize("channel", ["inbox", "topic"])
async def test_reader_takes_at_most_32_messages_between_checkpoints(
    host: Host, hand_clock: HandClock, steps: Steps, channel: str
) -> None:
    """Guarantee 47: a task process takes at most 32 messages between checkpoints."""
    taken = await taken_per_step(host, channel, steps, hand_clock)
    assert sum(taken) == MESSAGES
    assert max(taken) == 32


async def test_reader_takes_at_most_a_millisecond_between_checkpoints(
    host: Host, hand_clock: HandClock, steps: Steps
) -> None:
    """Guarantee 47: and for at most 1 ms: with 0.3 ms per message that makes 4."""
    hand_clock.per_message = 0.0003
    taken = await taken_per_step(host, "inbox", steps, hand_clock)
    assert sum(taken) == MESSAGES
    assert max(taken) == 4


@pytest.mark.parametrize("channel", ["inbox", "topic"])
async def test_a_reader_without_a_task_takes_at_most_1024_messages_between_checkpoints(
    host: Host, hand_clock: HandClock, steps: Steps, channel: str
) -> None:
    """Guarantee 47: it is stepped by the dispatcher, which handles at most so many in a turn."""
    taken = await taken_per_step(host, channel, steps, hand_clock, task=False)
    assert sum(taken) == MESSAGES
    assert max(taken) == 1024


async def test_a_reader_without_a_task_takes_messages_for_at_most_a_millisecond(
    host: Host, hand_clock: HandClock, steps: Steps
) -> None:
    """Guarantee 47: as one with a task."""
    hand_clock.per_message = 0.0003
    taken = await taken_per_step(host, "inbox", steps, hand_clock, task=False)
    assert sum(taken) == MESSAGES
    assert max(taken) in (3, 4)


async def test_forced_end_is_noticed_at_the_next_receive(host: Host) -> None:
    """PY10: whatever is left of the budget, the next receive is a checkpoint."""
    got = []

    async def reader(ctx: ProcessContext) -> None:
        for _ in range(100):
            ctx.send(ctx.pid, "t")
        while True:
            await ctx.inbox.receive()
            got.append(1)
            if len(got) == 5:
                host.node.terminate(ctx.pid)

    end = await host.node.wait(await host.spawn(reader))
    assert (str(end.error), len(got)) == ("process terminated", 5)


class Note:
    """A message of the plain server."""


class Plain(Server):
    """Counts what it handles by step."""

    def init(self, taken: Counter[int], steps: Steps, clock: HandClock) -> None:
        self.taken = taken
        self.steps = steps
        self.clock = clock

    @handles(Note)
    def note(self, message: Note) -> None:
        self.taken[self.steps.count] += 1
        self.clock.work()


class Async(Plain):
    """The same with an async handler."""

    @handles(Note)
    async def note(self, message: Note) -> None:  # type: ignore[override]
        super().note(message)


@pytest.mark.parametrize("server", [Plain, Async])
@pytest.mark.parametrize(("step", "most"), [(0.0, 1024), (0.0001, 11)])
async def test_dispatcher_handles_at_most_1024_messages_or_a_millisecond_per_turn(
    host: Host, hand_clock: HandClock, steps: Steps, step: float, most: int, server: type[Server]
) -> None:
    """Guarantee 48: the dispatcher lets others run after 1,024 messages or 1 ms."""
    taken: Counter[int] = Counter()
    trio.lowlevel.add_instrument(steps)
    pids = [await host.spawn(server, taken, steps, hand_clock, ready=True) for _ in range(10)]
    hand_clock.per_message = step
    for _ in range(500):
        for pid in pids:
            host.node.send(pid, "note", Note())
    while sum(taken.values()) < 5000:
        await trio.lowlevel.checkpoint()
    assert max(taken.values()) <= most


class Turns(trio.abc.Instrument):
    """Counts the turns of Trio's loop."""

    def __init__(self) -> None:
        self.count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


class Waits(Server):
    """Waits in its handler."""

    @handles("go")
    async def go(self, message: Message) -> None:
        message.payload.append(self.ctx.pid)
        await trio.sleep_forever()


async def test_many_servers_that_wait_begin_within_a_few_turns(
    host: Host, hand_clock: HandClock
) -> None:
    """TM2: each gets a task, and sees to it that two other tasks step, up to 32 at a time."""
    turns = Turns()
    pids = [await host.spawn(Waits) for _ in range(1_000)]
    begun: list[str] = []
    await trio.testing.wait_all_tasks_blocked()
    trio.lowlevel.add_instrument(turns)
    for pid in pids:
        host.node.send(pid, "go", begun)
    await trio.testing.wait_all_tasks_blocked()
    trio.lowlevel.remove_instrument(turns)
    assert begun == pids
    assert turns.count <= 50
