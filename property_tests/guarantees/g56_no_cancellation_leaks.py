"""Guarantee 56: No cancellation leaks."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext, ProcessError
from trio_actors.functions import open_functions
from trio_actors.testing import Faults, Sim, explore


@guarantee
def a_killed_caller_leaves_nothing_in_a_pool() -> None:
    """F15, PL8: no worker, no place in the line; whoever is killed, and when."""

    @explore(
        schedules=times(40),
        faults=Faults(kill=0.3, delay=0.1, seconds=3, only=("caller*",)),
        report=("text",),
        check_determinism=0,
    )
    async def test(sim: Sim) -> None:
        async def work() -> None:
            await trio.sleep(2)

        async def caller(ctx: ProcessContext) -> None:
            for _ in range(2):
                await ctx.inbox.receive()
                try:
                    await ctx.call_function("app:work")
                except ProcessError:
                    continue

        async with open_functions(sim.node) as functions:
            functions.register("app:work", work, pool={"workers": 2, "buffer": 1})
            for number in range(5):
                await sim.spawn(caller, name=f"caller{number}")
                for _ in range(2):
                    sim.send(f"caller{number}", "now")
            await sim.run_for(100)
            stats = functions.statistics("app:work")
            assert (stats.busy, stats.queued) == (0, 0)

    test()
