"""Guarantee 13: An exit can be asked for afterwards."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def exits_are_remembered_with_their_causes() -> None:
    """PH6, SU42: `wait` after the fact, and the chain of links back to the root."""

    @explore(schedules=times(5), report=("text",))
    async def test(sim: Sim) -> None:
        async def idle(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        first = await sim.spawn(idle)
        second = await sim.spawn(idle, link=first)
        third = await sim.spawn(idle, link=second)
        await sim.settle()
        sim.node.terminate(first)
        await sim.settle()
        assert (await sim.node.wait(third)).abnormal
        chain = sim.node.exits.chain(third)
        assert [record.pid for record in chain] == [third, second, first]

    test()
