"""Guarantee 37: Leaving a host is an ordered stop."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import trio_actors
from property_tests.guarantees.registry import guarantee
from trio_actors import (
    ProcessContext,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_host_stops_in_order() -> None:
    """Z3, W3: CANCEL to all, spawns refused, the deaf end at the deadline."""

    @explore(strategy="fifo", report=("text",))
    async def test(sim: Sim) -> None:
        ends: dict[str, Any] = {}

        async def polite(ctx: ProcessContext) -> None:
            event = await ctx.events.receive()
            assert event.deadline is not None

        async def deaf(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        async with trio_actors.open_node() as node:
            async with node.open_host("h", drain=5) as host:
                pids = {"polite": await host.spawn(polite), "deaf": await host.spawn(deaf)}
                await sim.run_for(1)
                host.request_stop()
                with pytest.raises(ProcessUnavailable, match="host is shutting down"):
                    await host.spawn(deaf)
                begun = sim.now
                await host.join()
                took = sim.now - begun
            for name, pid in pids.items():
                error = (await node.wait(pid)).error
                ends[name] = None if error is None else error.message
        assert ends == {"polite": None, "deaf": "cancel deadline exceeded"}
        assert 4.9 < took < 5.1

    test()
