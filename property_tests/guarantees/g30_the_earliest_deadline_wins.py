"""Guarantee 30: A deadline is enforced, and the earliest one wins."""

from __future__ import annotations

from typing import Any

from property_tests.guarantees.registry import guarantee
from trio_actors import (
    ErrorKind,
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def the_earliest_deadline_wins() -> None:
    """K1-K9: one event each; a deadline is enforced; without one nothing ends."""

    @explore(strategy="fifo", report=("text",))
    async def test(sim: Sim) -> None:
        events: list[Any] = []

        async def deaf(ctx: ProcessContext) -> None:
            async for event in ctx.events:
                events.append(event.deadline is not None)

        pid = await sim.spawn(deaf)
        await sim.settle()
        sim.node.cancel(pid)
        await sim.run_for(100)
        assert pid in sim.node.processes
        start = sim.now
        for seconds in (10.0, 4.0, 20.0, None):
            sim.node.cancel(pid, seconds)
        await sim.run_for(3.5)
        assert pid in sim.node.processes
        await sim.run_for(1)
        error = (await sim.node.wait(pid)).error
        assert error is not None
        assert (error.message, error.kind) == ("cancel deadline exceeded", ErrorKind.CANCELED)
        record = sim.node.exits.get(pid)
        assert record is not None
        assert abs(record.at - start - 4) < 0.001
        assert events == [False, True, True, True, False]

    test()
