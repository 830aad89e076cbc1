"""Runs share a nursery and nothing else: what one leaves behind does not reach the next."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from property_tests.mutants import CORE, Mutant
from trio_actors import ProcessContext
from trio_actors._core.carrier import SIGHT
from trio_actors.testing import ScheduleFailure, Sim, explore
from trio_actors.testing.determinism import repeatable
from trio_actors.testing.policies import ByLateness
from trio_actors.testing.run import Options, Run, run_in_trio
from trio_actors.testing.stage import Stage


async def patient(ctx: ProcessContext) -> None:
    """Waits for messages."""
    async for _ in ctx.inbox:
        pass


async def with_timer(sim: Sim) -> None:
    """Leaves a process and a timer of the node."""
    await sim.spawn(patient)
    sim.node.clock.at(sim.now + 100, lambda: None)
    await sim.run_for(1)


def test_runs_share_a_nursery_that_is_empty_between_them() -> None:
    """Processes and the node's own tasks are gone when a run is over."""

    async def main(stage: Stage) -> None:
        first = await stage.nursery()
        for _ in range(3):
            outcome = await Run(with_timer, ByLateness(), Options()).run(stage)
            assert outcome.failure is None
            assert not first.child_tasks
            assert await stage.nursery() is first

    with repeatable():
        run_in_trio(main)


def test_what_ends_the_program_leaves_the_exploration_as_it_is() -> None:
    """E38: SystemExit of a process, after the other processes have ended."""
    ended: list[str] = []

    @explore(report=("text",))
    async def test(sim: Sim) -> None:
        async def other(ctx: ProcessContext) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append("other")

        async def leaving(ctx: ProcessContext) -> None:
            await trio.sleep(1)
            raise SystemExit(3)

        await sim.spawn(other)
        await sim.spawn(leaving)
        await sim.run_for(5)
        ended.append("test")

    with pytest.raises(SystemExit) as caught:
        test()
    assert caught.value.code == 3
    assert ended == ["other"]


@explore(schedules=10)
async def test_a_host_that_was_stopped_can_be_opened_again(sim: Sim) -> None:
    """`Host.stop` works in a simulation as outside."""
    host = await sim.host()
    pid = await sim.spawn(patient)
    await sim.settle()
    await host.stop()
    assert host.state == "stopped"
    assert pid not in sim.node.processes
    assert await sim.host() is not host
    await sim.spawn(patient)


def test_a_host_that_does_not_close_fails_the_run() -> None:
    """A count that is wrong is found at the end, and the next run begins anew."""
    mutant = Mutant("", CORE + "node:Node.end", "host.alive -= 1", "pass", "")

    @explore(schedules=3, report=("text",))
    async def test(sim: Sim) -> None:
        await sim.spawn(patient)
        await sim.run_for(1)

    with mutant.applied(), pytest.raises(ScheduleFailure, match="host h0 has not closed"):
        test()
    test()


@pytest.mark.parametrize("stepped", [True, False])
def test_a_process_that_cannot_be_given_up_fails_the_run(
    stepped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SU8: a host names its zombies when it closes; their tasks do not reach the next run."""

    async def main(stage: Stage) -> None:
        async def body(sim: Sim) -> None:
            async def deaf(ctx: ProcessContext) -> None:
                with trio.CancelScope(shield=True):
                    await trio.sleep(50)

            pid = await sim.spawn(deaf)
            await sim.run_for(1)
            sim.node.abandon(sim.node.processes[pid], "does not listen")

        first = await stage.nursery()
        outcome = await Run(body, ByLateness(), Options()).run(stage)
        assert "could not be stopped" in str(outcome.failure)
        assert not first.child_tasks
        again: Any = await Run(with_timer, ByLateness(), Options()).run(stage)
        assert again.failure is None
        if not stepped:  # the dispatcher's tasks have been waited for
            assert await stage.nursery() is not first

    monkeypatch.setattr(SIGHT, "asked", True)
    monkeypatch.setattr(SIGHT, "roaming", stepped)
    with repeatable():
        run_in_trio(main)
