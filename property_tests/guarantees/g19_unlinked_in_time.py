"""Guarantee 19: Unlinked in time, nothing happens; too late, exactly one thing."""

from __future__ import annotations

import trio

from property_tests.guarantees.puppets import Puppets
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def ties_can_be_undone() -> None:
    """SC7: unlinked, one survives the other's failure; unmonitored, one is not told."""

    @explore(schedules=times(6), report=("text",))
    async def test(sim: Sim) -> None:
        puppets = Puppets(sim)
        await puppets.make(3)
        await puppets.do(0, "link", 1)
        await puppets.do(0, "monitor", 1)
        await puppets.do(2, "link", 1)
        await puppets.do(2, "trap", 1)
        assert await puppets.do(0, "monitor", 1) == "AlreadyExists"
        await puppets.do(0, "unmonitor", 1)
        await puppets.do(1, "unlink", 0)
        await puppets.do(1, "fail")
        assert puppets.alive() == {0, 2}
        assert puppets.counted(0) == {}
        assert puppets.counted(2) == {("pid.link.down", 1): 1}
        assert await puppets.do(0, "monitor", 1) == "NotFound"
        assert await puppets.do(0, "link", 1) == "NotFound"

    test()


@guarantee
def an_unlink_is_in_time_or_too_late() -> None:
    """K11: then nothing happens, or exactly one thing."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        order: list[str] = []

        async def failing(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            order.append("failed")
            raise ValueError("fails")

        async def peer(ctx: ProcessContext) -> str:
            await ctx.inbox.receive()
            order.append("unlinked")
            ctx.unlink(first)
            await trio.sleep(5)
            return "lived"

        first = await sim.spawn(failing, name="failing")
        second = await sim.spawn(peer, name="peer", link=first)
        await sim.settle()
        sim.send(first, "now")
        sim.send(second, "now")
        await sim.settle()
        end = await sim.node.wait(second)
        if order[0] == "unlinked":
            assert end.value == "lived"
        else:
            assert end.error is not None
            assert end.error.message == "linked process failed"
        sim.sometimes("in time", order[0] == "unlinked")
        sim.sometimes("too late", order[0] == "failed")

    test()
