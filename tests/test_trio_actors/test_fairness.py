"""Fairness: how much is taken between two checkpoints (issue 3 §3; design.md §5)."""

from __future__ import annotations

from collections import Counter

import pytest
import trio

from trio_actors import Host, ProcessContext, Server, handles
from trio_actors._core import dispatch, subscription

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


@pytest.fixture
def frozen_counter(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The processor clock that limits turns, set by hand: [now, step per look]."""
    state = [0.0, 0.0]

    def look() -> float:
        state[0] += state[1]
        return state[0]

    monkeypatch.setattr(subscription, "perf_counter", look)
    monkeypatch.setattr(dispatch, "perf_counter", look)
    return state


async def taken_per_step(host: Host, channel: str, steps: Steps) -> list[int]:
    """How many messages a busy reader takes in each of its steps."""
    taken: Counter[int] = Counter()

    async def reader(ctx: ProcessContext) -> None:
        subscription = ctx.inbox if channel == "inbox" else ctx.listen("t")
        for _ in range(MESSAGES):
            ctx.send(ctx.pid, "t")
        for _ in range(MESSAGES):
            await subscription.receive()
            taken[steps.count] += 1

    trio.lowlevel.add_instrument(steps)
    await host.node.call(reader, host=host)
    return list(taken.values())


@pytest.mark.parametrize("channel", ["inbox", "topic"])
async def test_reader_takes_at_most_32_messages_between_checkpoints(
    host: Host, frozen_counter: list[float], steps: Steps, channel: str
) -> None:
    """Issue 3 §3: a task process takes at most 32 messages between checkpoints."""
    taken = await taken_per_step(host, channel, steps)
    assert sum(taken) == MESSAGES
    assert max(taken) == 32


async def test_reader_takes_at_most_a_millisecond_between_checkpoints(
    host: Host, frozen_counter: list[float], steps: Steps
) -> None:
    """Issue 3 §3: and at most 1 ms after the first: with 0.3 ms per message that makes 5."""
    frozen_counter[1] = 0.0003
    taken = await taken_per_step(host, "inbox", steps)
    assert sum(taken) == MESSAGES
    assert max(taken) == 5


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

    def init(self, taken: Counter[int], steps: Steps) -> None:
        self.taken = taken
        self.steps = steps

    @handles(Note)
    def note(self, message: Note) -> None:
        self.taken[self.steps.count] += 1


@pytest.mark.parametrize(("step", "most"), [(0.0, 1024), (0.0001, 11)])
async def test_dispatcher_handles_at_most_1024_messages_or_a_millisecond_per_turn(
    host: Host, frozen_counter: list[float], steps: Steps, step: float, most: int
) -> None:
    """Issue 3 §3: the dispatcher lets others run after 1,024 messages or 1 ms."""
    taken: Counter[int] = Counter()
    trio.lowlevel.add_instrument(steps)
    pids = [await host.spawn(Plain, taken, steps, ready=True) for _ in range(10)]
    frozen_counter[1] = step
    for _ in range(500):
        for pid in pids:
            host.node.send(pid, "note", Note())
    while sum(taken.values()) < 5000:
        await trio.lowlevel.checkpoint()
    assert max(taken.values()) <= most
