"""Guarantee 46: A process ends after its child tasks."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_process_ends_after_its_child_tasks() -> None:
    """TM3: also if it is ended by force, in every order."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        steps: list[str] = []

        async def task(ctx: ProcessContext) -> None:
            try:
                await trio.sleep(3)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                steps.append("task" if ctx.pid in sim.node.processes else "too late")

        async def worker(ctx: ProcessContext) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(task, ctx)

        async def watcher(ctx: ProcessContext) -> None:
            pid = await ctx.spawn(worker, monitor=True, name="worker")
            with trio.move_on_after(1):
                await ctx.inbox.receive()
                ctx.terminate(pid)
            await ctx.events.receive()
            steps.append("exit")

        await sim.spawn(watcher, name="watcher")
        sim.send("watcher", "now")
        await sim.settle()
        assert steps in (["task", "exit"], ["exit"])  # ended before its first step

    test()
