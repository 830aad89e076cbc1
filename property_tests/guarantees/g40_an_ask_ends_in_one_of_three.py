"""Guarantee 40: An ask ends in exactly one of reply, end of the callee, timeout."""

from __future__ import annotations

import pytest
import trio

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessTimeout,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


class Get(trio_actors.Ask[int]):
    """A request."""


@guarantee
def an_ask_ends_exactly_once() -> None:
    """A reply, the callee's end, or the timeout; a late reply harms nobody."""

    class Slow(trio_actors.Server):
        def init(self, delay: float) -> None:
            self.delay = delay

        @trio_actors.handles(Get)
        async def get(self, request: Get) -> int:
            if self.delay < 0:
                raise ValueError("no")
            await trio.sleep(self.delay)
            return 7

    @explore(schedules=times(10), report=("text",))
    async def test(sim: Sim) -> None:
        quick = await sim.spawn(Slow, 1.0)
        slow = await sim.spawn(Slow, 50.0)
        broken = await sim.spawn(Slow, -1.0)
        assert await sim.node.ask(quick, Get(), timeout=40) == 7
        with pytest.raises(ProcessTimeout):
            await sim.node.ask(slow, Get(), timeout=4)
        with pytest.raises(ProcessUnavailable, match="ended before it replied"):
            await sim.node.ask(broken, Get(), timeout=40)
        await sim.run_for(100)
        assert await sim.node.ask(slow, Get(), timeout=300) == 7

    test()
