"""Guarantee 33: An upgrade keeps."""

from __future__ import annotations

from typing import Any

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext
from trio_actors.testing import Sim, explore


@guarantee
def an_upgrade_keeps_pid_name_links_and_unread_messages() -> None:
    """U1-U6, V6: in arrival order, from inbox, topics and events; trap_links is off again."""

    @explore(schedules=times(10), report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def second(ctx: ProcessContext, state: int) -> None:
            got.append((state, ctx.options.trap_links, ctx.lookup("me") == ctx.pid))
            await trio.sleep(1)
            event = await ctx.events.receive()
            got.append(str(event.kind))
            got.extend([(await ctx.inbox.receive()).payload for _ in range(3)])

        async def first(ctx: ProcessContext) -> None:
            ctx.options.trap_links = True
            ctx.listen("t")
            _ = ctx.inbox, ctx.events
            await trio.sleep(1)
            await ctx.upgrade(second, 9)

        async def watcher(ctx: ProcessContext) -> None:
            event = await ctx.events.receive()
            got.append(("watched", event.result.error is None))

        watching = await sim.spawn(watcher)
        pid = await sim.spawn(first, name="me", monitor=watching)
        await sim.run_for(0.5)
        for topic, value in [("t", 1), ("u", 2), ("t", 3)]:
            sim.send("me", topic, value)
        sim.node.cancel(pid)
        await sim.settle()
        assert got == [(9, False, True), "pid.cancel", 1, 2, 3, ("watched", True)]

    test()
