"""Guarantee 41: An abandoned request is skipped in the queue."""

from __future__ import annotations

import trio

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessTimeout,
)
from trio_actors.testing import Sim, explore


class Slowly(trio_actors.Ask[int]):
    """Takes ten seconds."""


class Count(trio_actors.Ask[int]):
    """How many requests were begun."""


class Counter(trio_actors.Server):
    """Counts what it begins."""

    def init(self) -> None:
        self.begun = 0

    @trio_actors.handles(Slowly)
    async def slowly(self, request: Slowly) -> int:
        self.begun += 1
        await trio.sleep(10)
        return self.begun

    @trio_actors.handles(Count)
    def count(self, request: Count) -> int:
        return self.begun


@guarantee
def an_abandoned_request_is_skipped() -> None:
    """Who has given up before the request is taken costs the server nothing."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        gave_up: list[int] = []

        async def impatient(ctx: ProcessContext) -> None:
            try:
                await ctx.ask("counter", Slowly(), timeout=5)
            except ProcessTimeout:
                gave_up.append(1)

        await sim.spawn(Counter, name="counter")
        await sim.settle()
        for _ in range(3):
            await sim.spawn(impatient)
        await sim.run_for(100)
        assert len(gave_up) == 3
        assert await sim.node.ask("counter", Count()) <= 1

    test()
