"""Guarantee 55: What a function started with `async` does not outlive it."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext, funcs
from trio_actors.functions import open_functions
from trio_actors.testing import Sim, explore


@guarantee
def a_function_started_with_async_does_not_outlive_its_call() -> None:
    """F13, F17: the call returns after it has unwound."""

    @explore(schedules=times(20), report=("text",))
    async def test(sim: Sim) -> None:
        steps: list[str] = []

        async def child() -> None:
            try:
                await trio.sleep(100)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                steps.append("child")

        async def parent() -> None:
            funcs.async_("app:child")
            await trio.sleep(2)

        async def caller(ctx: ProcessContext) -> None:
            await ctx.call_function("app:parent")
            steps.append("returned")

        async with open_functions(sim.node) as functions:
            functions.register("app:child", child)
            functions.register("app:parent", parent)
            for _ in range(2):
                await sim.spawn(caller)
            await sim.run_for(60)
            assert sorted(steps) == ["child", "child", "returned", "returned"]
            assert steps[0] == "child"

    test()
