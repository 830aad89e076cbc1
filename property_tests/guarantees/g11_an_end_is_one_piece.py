"""Guarantee 11: The effects of an end are one piece."""

from __future__ import annotations

from hypothesis import strategies as st

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors.testing import Sim, explore

name = st.sampled_from(["a", "b", ""])


@guarantee
def an_end_is_seen_as_one_piece() -> None:
    """Who has got EXIT sees PID and name gone, may take the name, finds room (V4, V20)."""

    @explore(schedules=times(20), report=("text",))
    async def test(sim: Sim) -> None:
        seen: list[object] = []

        async def brief(ctx: object) -> None:
            pass

        async def watcher(ctx: object) -> None:
            from trio_actors import ProcessContext, ProcessError

            assert isinstance(ctx, ProcessContext)
            pid = await ctx.spawn(brief, name="brief", monitor=True, link=True, host="small")
            event = await ctx.events.receive()
            seen.append((str(event.kind), event.sender == pid, event.result.error))
            for action in (
                lambda: ctx.send(pid, "x"),
                lambda: ctx.lookup("brief"),
                lambda: ctx.monitor(pid),
            ):
                try:
                    action()
                    seen.append("no refusal")
                except ProcessError as error:
                    seen.append(error.message)
            ctx.register("brief")
            await ctx.spawn(brief, host="small")

        await sim.host("small", max_processes=1)
        pid = await sim.spawn(watcher)
        await sim.settle()
        assert (await sim.node.wait(pid)).error is None
        assert seen == [
            ("pid.exit", True, None),
            "process not found",
            "name not registered",
            "pid not registered",
        ]

    test()
