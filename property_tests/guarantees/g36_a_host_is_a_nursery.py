"""Guarantee 36: A host is a nursery."""

from __future__ import annotations

import trio

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def nothing_outlives_its_host() -> None:
    """PH2: whatever is under way when the block is left."""

    @explore(schedules=times(40), report=("text",))
    async def test(sim: Sim) -> None:
        alive: set[str] = set()

        async def child(ctx: ProcessContext) -> None:
            alive.add(ctx.pid)
            try:
                await trio.sleep_forever()
            finally:
                alive.discard(ctx.pid)

        async def parent(ctx: ProcessContext) -> None:
            while True:
                await ctx.inbox.receive()
                await ctx.spawn(child)

        async with trio_actors.open_node() as node:
            async with node.open_host("h", drain=1) as host:
                pid = await host.spawn(parent, name="parent")
                for _ in range(3):
                    node.send(pid, "more")
                await sim.run_for(0)
            assert (alive, dict(node.processes)) == (set(), {})

    test()
