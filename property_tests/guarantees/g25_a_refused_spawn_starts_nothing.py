"""Guarantee 25: A spawn that is refused or cancelled has started nothing."""

from __future__ import annotations

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    Bounded,
    ProcessAlreadyExists,
    ProcessContext,
    ProcessNotFound,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_refused_spawn_leaves_nothing() -> None:
    """B6, W3, W7, W8, Z2: no process, no name, no message."""

    @explore(schedules=times(2), report=("text",))
    async def test(sim: Sim) -> None:
        async def idle(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        host = await sim.host("small", max_processes=2)
        first = await sim.spawn(idle, name="taken", host="small")
        before = len(sim.pending())
        with pytest.raises(ProcessAlreadyExists, match="name already registered"):
            await sim.spawn(idle, name="taken", host="small", messages=[("t", 1)])
        assert len(sim.pending()) == before
        assert sim.node.lookup("taken") == first
        with pytest.raises(ProcessUnavailable, match="mailbox is full"):
            host.spawn_soon(idle, name="free", messages=[("t", 1), ("t", 2)], mailbox=Bounded(1))
        with pytest.raises(ProcessNotFound):
            sim.node.lookup("free")
        assert host.alive == 1
        await sim.spawn(idle, host="small")
        with pytest.raises(ProcessUnavailable, match=r"host is full \(max_processes=2\)"):
            await sim.spawn(idle, host="small", name="third")
        with pytest.raises(ProcessNotFound):
            sim.node.lookup("third")
        with pytest.raises(ProcessNotFound, match="factory not found"):
            await sim.spawn("nothing:here", host="small")
        sim.kill("taken")
        await sim.settle()
        await sim.spawn(idle, host="small", name="taken")

    test()
