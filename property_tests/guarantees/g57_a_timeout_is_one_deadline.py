"""Guarantee 57: A timeout is one deadline."""

from __future__ import annotations

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext, ProcessTimeout
from trio_actors.functions import open_functions
from trio_actors.testing import Sim, explore


@guarantee
def a_timeout_is_one_deadline() -> None:
    """F21: over the wait for a worker and the work, for every order of the callers."""

    @explore(schedules=times(20), report=("text",))
    async def test(sim: Sim) -> None:
        ends: list[tuple[str, float]] = []

        async def work() -> None:
            await trio.sleep(3)

        async def caller(ctx: ProcessContext) -> None:
            began = ctx.node.now()
            try:
                await ctx.call_function("app:work", timeout="5s")
            except ProcessTimeout:
                ends.append(("timeout", ctx.node.now() - began))
            else:
                ends.append(("done", ctx.node.now() - began))

        async with open_functions(sim.node) as functions:
            functions.register("app:work", work, pool={"workers": 1})
            for _ in range(3):
                await sim.spawn(caller)
            await sim.run_for(60)
            assert {how for how, seconds in ends if seconds < 5} <= {"done"}
            late = [seconds for how, seconds in ends if how == "timeout"]
            assert late == pytest.approx([5.0] * len(late))
            assert len(ends) == 3
            sim.sometimes("one waits too long", late)

    test()
