"""The decorator and `Sim`: what a user's test can rely on (TS10-TS14)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings

from trio_actors import EventKind, ProcessContext, ProcessNotFound
from trio_actors.testing import (
    Restless,
    Schedule,
    ScheduleFailure,
    Sim,
    Stuck,
    Unrepeatable,
    Vacuous,
    explore,
)
from trio_actors.testing.explore import settings


@pytest.fixture(autouse=True)
def _no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "directory", tmp_path)


async def echo(ctx: ProcessContext) -> None:
    """Sends everything back."""
    async for message in ctx.inbox:
        ctx.send(message.payload, "echo")


async def once(ctx: ProcessContext, server: str) -> None:
    """One request, one answer."""
    ctx.send(server, "ping", ctx.pid)
    await ctx.receive("echo")


@explore()
async def test_an_async_test_is_explored(sim: Sim) -> None:
    """TS12: pytest calls it like any sync test."""
    server = await sim.spawn(echo)
    first = await sim.spawn(once, server)
    second = await sim.spawn(once, server)
    await sim.settle()
    assert (await sim.node.wait(first)).error is None
    assert (await sim.node.wait(second)).error is None


@pytest.mark.trio
@explore(schedules=5)
async def test_the_mark_of_pytest_trio_is_harmless(sim: Sim) -> None:
    """TS12: the test brings its own Trio loop."""
    await sim.spawn(echo)
    await sim.settle()


@explore(schedules=20)
def test_a_sync_test_builds_a_system_and_returns_its_check(sim: Sim) -> Any:
    """TS12: what it returns is called when the system has come to rest."""
    host = sim.node.hosts["h0"]
    server = host.spawn_soon(echo)
    pid = host.spawn_soon(once, server)
    return lambda: pid not in sim.node.processes or pytest.fail("still there")


@given(count=strategies.integers(1, 3))
@hypothesis_settings(max_examples=10, deadline=None)
@explore()
async def test_given_above_explore(sim: Sim, count: int) -> None:
    """TS12: Hypothesis draws the inputs, `explore` the schedules."""
    server = await sim.spawn(echo)
    for _ in range(count):
        await sim.spawn(once, server)
    await sim.settle()
    assert len(sim.node.processes) == 1


@explore()
@given(count=strategies.integers(1, 3))
@hypothesis_settings(max_examples=10, deadline=None)
async def test_explore_above_given(sim: Sim, count: int) -> None:
    """TS12: in the other order too."""
    await sim.spawn(echo)
    await sim.settle()
    assert 1 <= count <= 3


def test_the_failure_of_a_given_test_shows_input_and_token() -> None:
    """TS15: inputs shrink by Hypothesis, the schedule by us."""

    @given(count=strategies.integers(0, 10))
    @hypothesis_settings(max_examples=50, deadline=None, database=None)
    @explore(report=("text",))
    async def test(sim: Sim, count: int) -> None:
        await sim.spawn(echo)
        await sim.settle()
        assert count < 3

    with pytest.raises(ScheduleFailure) as caught:
        test()
    assert caught.value.report.inputs == {"count": 3}
    assert caught.value.token == "FIFO"


def test_a_small_system_is_verified() -> None:
    """TS10: `verified: all N traces` when DPOR ends within the budget."""

    @explore()
    async def test(sim: Sim) -> None:
        server = await sim.spawn(echo)
        await sim.spawn(once, server)
        await sim.settle()

    test()
    explored = settings.explored["test_a_small_system_is_verified.test"]
    assert str(explored) == f"verified: all {explored.verified} traces"


CHECKPOINTS: dict[str, Callable[[ProcessContext], Awaitable[None]]] = {
    "none": lambda ctx: ctx.node.wait(ctx.spawn_soon(returns)),  # waits for an end
    "ctx.checkpoint": lambda ctx: ctx.checkpoint(),
    "trio.sleep(0)": lambda ctx: trio.sleep(0),
    "trio.lowlevel.checkpoint": lambda ctx: trio.lowlevel.checkpoint(),
}


async def returns(ctx: ProcessContext) -> None:
    """Ends."""


async def leader(ctx: ProcessContext, how: str) -> None:
    """Takes a name that was free before it let others run."""
    try:
        ctx.lookup("leader")
    except ProcessNotFound:
        await CHECKPOINTS[how](ctx)
        ctx.register("leader")
    await ctx.receive("stop")


def checked_before_a_checkpoint(how: str, level: str, leaders: int) -> Any:
    """Whether all leaders live; only one can if both look before one of them takes the name."""

    @explore(level=level, report=("text",))
    async def test(sim: Sim) -> None:
        pids = [await sim.spawn(leader, how) for _ in range(leaders)]
        await sim.settle()
        assert sum(pid in sim.node.processes for pid in pids) in (leaders, 0)

    return test


@pytest.mark.parametrize("how", [how for how in CHECKPOINTS if how != "none"])
def test_what_checkpoints_leave_open_is_explored_by_steps(how: str) -> None:
    """TS10: a race between two processes that let each other run."""
    with pytest.raises(ScheduleFailure):
        checked_before_a_checkpoint(how, "step", 2)()


@pytest.mark.parametrize("how", CHECKPOINTS)
@pytest.mark.parametrize("others", [0, 1])
def test_verified_says_whether_checkpoints_have_left_something_open(how: str, others: int) -> None:
    """TS10: "verified" without more only if no process has let another one run in between."""

    @explore(report=("text",))
    async def test(sim: Sim) -> None:
        await sim.spawn(leader, how)
        for _ in range(others):
            await sim.spawn(leader, how)
        await sim.settle()

    test()
    name = "test_verified_says_whether_checkpoints_have_left_something_open.test"
    explored = settings.explored[name]
    plain = f"verified: all {explored.verified} traces"
    if others and how != "none":
        assert explored.yielded
        assert str(explored).startswith(f"{plain} of messages (of checkpoints one order only:")
    else:
        assert str(explored) == plain


@explore(schedules=30)
async def test_an_hour_costs_nothing(sim: Sim) -> None:
    """TS13: virtual time."""

    async def slow(ctx: ProcessContext) -> None:
        for _ in range(60):
            await trio.sleep(60)

    pid = await sim.spawn(slow)
    await sim.run_for(3601)
    assert sim.now >= 3601
    assert pid not in sim.node.processes


@explore(schedules=3)
async def test_blocking_work_does_not_time_out(sim: Sim) -> None:
    """TS13: while a thread works, no virtual time passes."""
    import time

    async def worker(ctx: ProcessContext) -> str:
        with trio.fail_after(1):
            await ctx.node.blocking(time.sleep, 0.005)
        return "done"

    assert await sim.call(worker) == "done"
    assert sim.now == 0


def test_a_test_that_delivers_nothing_fails() -> None:
    """TS11."""

    @explore()
    async def test(sim: Sim) -> None:
        pass

    with pytest.raises(Vacuous, match="no run delivered anything"):
        test()


def test_a_sometimes_that_never_held_fails() -> None:
    """TS11: and one that held once does not."""

    @explore(schedules=20)
    async def test(sim: Sim) -> None:
        await sim.spawn(echo)
        await sim.settle()
        sim.sometimes("the sky falls", False)

    with pytest.raises(Vacuous, match="sometimes 'the sky falls' held in none of"):
        test()


def test_always_and_eventually_are_checked_between_steps() -> None:
    """A condition that stops holding, and one that never comes true, fail by name."""

    @explore(report=("text",))
    async def never(sim: Sim) -> None:
        await sim.spawn(echo)
        sim.eventually("a miracle", lambda: False, within=5)

    with pytest.raises(ScheduleFailure, match="a miracle: not true at 5 s"):
        never()

    @explore(report=("text",))
    async def broken(sim: Sim) -> None:
        sim.always("nobody lives", lambda: len(sim.node.processes) < 2)
        await sim.spawn(echo)
        await sim.spawn(echo)
        await sim.settle()

    with pytest.raises(ScheduleFailure, match="nobody lives: no longer true"):
        broken()


def test_a_test_that_waits_for_ever_is_stuck() -> None:
    """§3: nothing can happen any more."""

    @explore(report=("text",))
    async def test(sim: Sim) -> None:
        pid = await sim.spawn(echo)
        await sim.node.wait(pid)

    with pytest.raises(ScheduleFailure) as caught:
        test()
    assert isinstance(caught.value.__cause__, Stuck)


def test_a_system_that_never_rests_is_reported() -> None:
    """`max_steps` ends it."""

    @explore(max_steps=200, report=("text",))
    async def test(sim: Sim) -> None:
        async def ping(ctx: ProcessContext) -> None:
            ctx.send(ctx.pid, "again")
            async for _ in ctx.inbox:
                ctx.send(ctx.pid, "again")

        await sim.spawn(ping)
        await sim.settle()

    with pytest.raises(ScheduleFailure) as caught:
        test()
    assert isinstance(caught.value.__cause__, Restless)


def test_a_test_that_does_not_repeat_is_refused() -> None:
    """TS14: the guard runs some schedules twice."""
    chance = random.Random()

    @explore()
    async def test(sim: Sim) -> None:
        server = await sim.spawn(echo)
        for _ in range(chance.choice([1, 2, 3, 4, 5, 6])):
            await sim.spawn(once, server)
        await sim.settle()

    with pytest.raises((Unrepeatable, ScheduleFailure)):
        for _ in range(20):
            test()


@explore(schedules=1)
async def test_scripted_orders(sim: Sim) -> None:
    """`hold`, `deliver`, `pending`: the test decides."""
    got: list[str] = []

    async def listener(ctx: ProcessContext) -> None:
        async for message in ctx.inbox:
            got.append(message.topic)

    async def talker(ctx: ProcessContext, word: str) -> None:
        ctx.send("listener", word)

    await sim.spawn(listener, name="listener")
    sim.hold("a", "listener")
    await sim.spawn(talker, "from a", name="a")
    await sim.spawn(talker, "from b", name="b")
    await sim.settle()
    assert got == ["from b"]
    assert sim.pending() == ["a>listener.1"]
    with pytest.raises(LookupError, match="first in their pairs"):
        sim.deliver("a>listener.2")
    sim.deliver("a>listener.1")
    await sim.settle()
    assert got == ["from b", "from a"]
    assert sim.trace[-1] == "a>listener.1 from a"


@explore(schedules=30)
async def test_partition_and_heal(sim: Sim) -> None:
    """Between separated hosts nothing arrives until it is healed."""
    server = await sim.spawn(echo, host="left")
    client = await sim.spawn(once, server, host="right")
    sim.partition(["left"], ["right"])
    await sim.settle()
    assert client in sim.node.processes
    sim.heal()
    await sim.settle()
    assert client not in sim.node.processes


@explore(schedules=30)
async def test_crash_and_restart_of_a_host(sim: Sim) -> None:
    """What ran there is gone, watchers are told, the host can be opened again."""
    told: list[str] = []

    async def watcher(ctx: ProcessContext) -> None:
        async for event in ctx.events:
            assert event.kind is EventKind.EXIT
            told.append(event.result.error.message)

    watching = await sim.spawn(watcher)
    victim = await sim.spawn(echo, host="far", monitor=watching)
    await sim.settle()
    sim.crash_host("far")
    await sim.settle()
    assert told == ["host far crashed"]
    assert sim.faulted(victim)
    assert not sim.faulted(watching)
    await sim.restart_host("far")
    await sim.spawn(echo, host="far")


def test_options_are_checked() -> None:
    """Wrong names are refused with the known ones."""
    with pytest.raises(ValueError, match="unknown level 'atom'; known: message, step"):
        explore(level="atom")
    with pytest.raises(ValueError, match="unknown report 'png'"):
        explore(report=("png",))

    @explore(strategy="magic")
    async def test(sim: Sim) -> None:
        pass

    with pytest.raises(ValueError, match="unknown strategy 'magic'; known: auto, fifo"):
        test()
    with pytest.raises(ValueError, match="cannot read"):
        explore(replay="nonsense")
    assert Schedule() == Schedule.FIFO
