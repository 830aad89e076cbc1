"""Guarantee 50: Functions, servers and plain servers are the same kind of process."""

from __future__ import annotations

from typing import Any

import trio

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


class Order(trio_actors.Ask[None]):
    """Return or fail."""


class WithTask(trio_actors.Server):
    """A server with a task of its own: it has an async handler."""

    @trio_actors.handles("do")
    async def do(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        if message.payload == "fail":
            raise ValueError("fails")
        self.stop("value")


class Plain(trio_actors.Server):
    """A server without one."""

    @trio_actors.handles("do")
    def do(self, message: Any) -> None:
        if message.payload == "fail":
            raise ValueError("fails")
        self.stop("value")


@guarantee
def functions_and_servers_end_alike() -> None:
    """TM2: watchers and links see no difference."""

    async def function(ctx: ProcessContext) -> str:
        if (await ctx.receive("do")).payload == "fail":
            raise ValueError("fails")
        return "value"

    seen: dict[str, set[tuple[str, ...]]] = {"fail": set(), "return": set()}
    for way in (function, WithTask, Plain):
        for how in seen:

            @explore(schedules=times(10), report=("text",))
            async def test(sim: Sim, way: Any = way, how: str = how) -> None:
                told: list[str] = []

                async def watcher(ctx: ProcessContext) -> None:
                    ctx.options.trap_links = True
                    pid = await ctx.spawn(way, monitor=True, link=True)
                    ctx.send(pid, "do", how)
                    async for event in ctx.events:
                        result = event.result
                        told.append(f"{event.kind} {result.value} {result.error}")

                await sim.spawn(watcher)
                await sim.settle()
                seen[how].add(tuple(told))

            test()
    assert {how: len(ways) for how, ways in seen.items()} == {"fail": 1, "return": 1}
