"""Guarantee 54: A call ends with its caller."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext, funcs
from trio_actors.functions import open_functions
from trio_actors.testing import Sim, explore


@guarantee
def a_call_ends_with_its_caller() -> None:
    """F11, F12: through a call inside it, wherever the caller is when it is terminated."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        running: set[str] = set()

        async def inner() -> None:
            running.add("inner")
            try:
                await trio.sleep_forever()
            finally:
                running.discard("inner")

        async def outer() -> None:
            running.add("outer")
            try:
                await funcs.call("app:inner")
            finally:
                running.discard("outer")

        async def caller(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            await ctx.call_function("app:outer")

        async def ending(ctx: ProcessContext) -> None:
            ctx.terminate("caller")

        async with open_functions(sim.node) as functions:
            functions.register("app:inner", inner)
            functions.register("app:outer", outer)
            await sim.spawn(caller, name="caller")
            await sim.settle()
            sim.send("caller", "now")
            await sim.spawn(ending)
            await sim.run_for(60)
            assert running == set()
            for id in ("app:inner", "app:outer"):
                stats = functions.statistics(id)
                assert (stats.busy, stats.queued) == (0, 0)

    test()
