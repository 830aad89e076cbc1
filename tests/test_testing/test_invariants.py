"""Each invariant of simulated runs notices what it is there for (testing.md §3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trio_actors
from property_tests.mutants import NODE, Mutant
from trio_actors import ProcessContext
from trio_actors.testing import (
    DEFAULT,
    Faults,
    Invariant,
    ScheduleFailure,
    Sim,
    explore,
)
from trio_actors.testing.explore import settings


@pytest.fixture(autouse=True)
def _no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "directory", tmp_path)


@explore(schedules=30, faults=Faults(kill=0.1, only=("*/child*",)), check_determinism=0)
async def busy(sim: Sim) -> None:
    """A parent that spawns, links, monitors and names."""

    async def child(ctx: ProcessContext, number: int) -> None:
        ctx.register(f"name {number}")
        async for message in ctx.inbox:
            ctx.send(message.payload, "pong")
            if number == 1:
                return

    async def parent(ctx: ProcessContext) -> None:
        ctx.options.trap_links = True
        for number in range(3):
            pid = await ctx.spawn(child, number, monitor=True, link=True)
            ctx.send(pid, "ping", ctx.pid)
            ctx.send(pid, "ping", ctx.pid)
        for _ in range(6):
            with trio.move_on_after(1):
                await ctx.inbox.receive()

    await sim.spawn(parent, name="parent")
    await sim.run_for(5)


CASES = [
    (NODE + "end", "self.names.release(pid)", "pass", Invariant.NAMES),
    (NODE + "end", "del self.processes[pid]", "pass", Invariant.NAMES),
    (NODE + "_tell", "if exit.abnormal:", "if True:", Invariant.LINK_DOWN),
    (NODE + "_tell", "if exit.abnormal:", "if False:", Invariant.LINK_DOWN),
    (
        NODE + "_tell",
        "for watcher in watchers:",
        "for watcher in watchers * 2:",
        Invariant.ONE_EXIT,
    ),
    (NODE + "_tell", "for watcher in watchers:", "for watcher in ():", Invariant.ONE_EXIT),
    (
        NODE + "install",
        "else NOBODY",
        "else self.processes",
        Invariant.CONSERVATION,
    ),
    (
        "trio_actors.testing.pump:Pump._enqueue",
        "queue.append(delivery)",
        "queue.appendleft(delivery)",
        Invariant.PAIR_ORDER,
    ),
]


def test_the_busy_system_passes() -> None:
    """As it is."""
    busy()


@pytest.mark.parametrize(("where", "old", "new", "invariant"), CASES)
def test_an_invariant_notices(where: str, old: str, new: str, invariant: Invariant) -> None:
    """In a framework that was broken on purpose."""
    mutant = Mutant("", where, old, new, "")
    with mutant.applied(), pytest.raises(ScheduleFailure) as caught:
        busy()
    assert invariant.value in str(caught.value)


def test_an_invariant_can_be_left_out() -> None:
    """`invariants=` says which are checked."""
    mutant = Mutant("", *CASES[0][:3], "")
    lenient: Any = explore(schedules=5, invariants=DEFAULT - {Invariant.NAMES})
    with mutant.applied():
        lenient(_one_name)()
        with pytest.raises(ScheduleFailure):
            explore(schedules=5)(_one_name)()


async def _one_name(sim: Sim) -> None:
    async def brief(ctx: ProcessContext) -> None:
        pass

    await sim.spawn(brief, name="brief")
    await sim.settle()


@attrs.frozen
class Question(trio_actors.Ask[int]):
    """Never answered."""


def test_who_waits_for_ever_is_stuck() -> None:
    """An ask without a timeout whose request is kept and not answered."""

    @explore(schedules=5, report=("text",))
    async def test(sim: Sim) -> None:
        kept: list[Any] = []

        async def keeper(ctx: ProcessContext) -> None:
            async for message in ctx.inbox:
                kept.append(message)

        async def asker(ctx: ProcessContext) -> None:
            await ctx.ask("keeper", Question())

        await sim.spawn(keeper, name="keeper")
        await sim.spawn(asker)
        await sim.settle()

    with pytest.raises(ScheduleFailure) as caught:
        test()
    assert Invariant.NOT_STUCK.value in str(caught.value)
