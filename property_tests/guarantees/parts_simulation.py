"""The simulation keeps its own invariants."""

from __future__ import annotations

import trio

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors.testing import Sim, explore


@guarantee
def the_simulation_itself_is_honest() -> None:
    """Invariants on a busy system with kills: conservation, one EXIT, names, no orphan."""
    from trio_actors.testing import Faults

    @explore(schedules=times(40), faults=Faults(kill=0.1), report=("text",))
    async def test(sim: Sim) -> None:
        async def child(ctx: trio_actors.ProcessContext) -> None:
            ctx.register(f"name of {ctx.pid}")
            async for message in ctx.inbox:
                ctx.send(message.payload, "pong")

        async def parent(ctx: trio_actors.ProcessContext) -> None:
            ctx.options.trap_links = True
            for _ in range(3):
                pid = await ctx.spawn(child, monitor=True, link=True)
                ctx.send(pid, "ping", ctx.pid)
            for _ in range(3):
                with trio.move_on_after(1):
                    await ctx.inbox.receive()

        await sim.spawn(parent, name="parent")
        await sim.run_for(5)

    test()
