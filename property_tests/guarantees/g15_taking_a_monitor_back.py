"""Guarantee 15: Taking a monitor back."""

from __future__ import annotations

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext, ProcessNotFound
from trio_actors.testing import Sim, explore


@guarantee
def a_monitor_taken_back_in_time_is_silent() -> None:
    """N4: no EXIT, or exactly the one that was sent before; the monitors of others stay."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        told: dict[str, list[str]] = {"watcher": [], "other": []}
        order: list[str] = []

        async def target(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            order.append("ended")

        async def listen(ctx: ProcessContext, name: str) -> None:
            async for event in ctx.events:
                told[name].append(event.sender)

        async def watcher(ctx: ProcessContext) -> None:
            for pid in (first, second):
                ctx.monitor(pid)
            await ctx.inbox.receive()
            order.append("unmonitored")
            ctx.unmonitor(first)
            await listen(ctx, "watcher")

        async def other(ctx: ProcessContext) -> None:
            ctx.monitor(first)
            await listen(ctx, "other")

        first, second = await sim.spawn(target), await sim.spawn(target)
        await sim.spawn(watcher, name="watcher")
        await sim.spawn(other)
        await sim.settle()
        sim.send("watcher", "now")
        sim.send(first, "now")
        await sim.settle()
        sim.send(second, "now")
        await sim.settle()
        late = order[0] == "ended"
        assert told == {"watcher": [first, second] if late else [second], "other": [first]}
        sim.sometimes("in time", not late)
        sim.sometimes("too late", late)

    test()


@guarantee
def a_monitor_taken_back_can_be_asked_for_again() -> None:
    """N1, N3, N4: it is a new one, and one EXIT comes of both, or none if the end lies between."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        told: list[str] = []
        steps: list[str] = []

        async def target(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            steps.append("ended")

        async def watcher(ctx: ProcessContext) -> None:
            ctx.monitor(pid)
            await ctx.inbox.receive()
            steps.append("unmonitored")
            ctx.unmonitor(pid)
            await ctx.inbox.receive()
            steps.append("again")
            try:
                ctx.monitor(pid)
            except ProcessNotFound:
                assert "ended" in steps
            async for event in ctx.events:
                told.append(event.sender)

        pid = await sim.spawn(target)
        await sim.spawn(watcher, name="watcher")
        await sim.settle()
        for receiver in ("watcher", pid, "watcher"):
            sim.send(receiver, "now")
        await sim.settle()
        between = steps == ["unmonitored", "ended", "again"]
        assert told == ([] if between else [pid])
        sim.sometimes("before both", steps[0] == "ended")
        sim.sometimes("between", between)
        sim.sometimes("after both", steps[2] == "ended")

    test()
