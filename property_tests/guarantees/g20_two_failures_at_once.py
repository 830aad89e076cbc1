"""Guarantee 20: Two failures at once."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import Pid, ProcessContext
from trio_actors.testing import Sim, explore
from trio_actors.testing.schedule import MessageId


@guarantee
def two_failures_end_one_process_once() -> None:
    """K14, K15: for the first; a trapping one hears of both."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        told: list[str] = []

        def arrived(at: Pid) -> list[str]:
            """Whose failures have reached a process, in the order of this run."""
            who = {sim.label(pid): pid for pid in pids}
            downs = [step.split() for step in sim.trace if step.endswith(" LINK_DOWN")]
            ids = [MessageId.parse(id) for id, _ in downs]
            return [who[id.src] for id in ids if id.dst == sim.label(at)]

        async def failing(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            raise ValueError("fails")

        async def trapping(ctx: ProcessContext) -> None:
            ctx.options.trap_links = True
            async for event in ctx.events:
                told.append(event.sender)

        async def plain(ctx: ProcessContext) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)  # by then the second failure has arrived as well

        pids = [await sim.spawn(failing, name=f"f{index}") for index in range(2)]
        trap, other = await sim.spawn(trapping), await sim.spawn(plain)
        for pid in pids:
            sim.node.topology.link(pid, trap)
            sim.node.topology.link(pid, other)
        await sim.settle()
        for pid in pids:
            sim.send(pid, "now")
        await sim.settle()
        assert told == arrived(trap)
        assert sorted(told) == sorted(pids)
        end = await sim.node.wait(other)
        assert end.error is not None
        assert end.error.message == "linked process failed"
        assert end.cause.by == arrived(other)[0]
        for pid in pids:
            sim.sometimes(f"{sim.label(pid)} is the first", end.cause.by == pid)

    test()
