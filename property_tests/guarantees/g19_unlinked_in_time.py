"""Guarantee 19: Unlinked in time, nothing happens; too late, exactly one thing."""

from __future__ import annotations

from property_tests.guarantees.puppets import Puppets
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext
from trio_actors.testing import Sim, explore


@guarantee
def ties_can_be_undone() -> None:
    """SC7: unlinked, one survives the other's failure; unmonitored, one is not told."""

    @explore(schedules=times(6), report=("text",))
    async def test(sim: Sim) -> None:
        puppets = Puppets(sim)
        await puppets.make(3)
        await puppets.do(0, "link", 1)
        await puppets.do(0, "monitor", 1)
        await puppets.do(2, "link", 1)
        await puppets.do(2, "trap", 1)
        assert await puppets.do(0, "monitor", 1) == "AlreadyExists"
        await puppets.do(0, "unmonitor", 1)
        await puppets.do(1, "unlink", 0)
        await puppets.do(1, "fail")
        assert puppets.alive() == {0, 2}
        assert puppets.counted(0) == {}
        assert puppets.counted(2) == {("pid.link.down", 1): 1}
        assert await puppets.do(0, "monitor", 1) == "NotFound"
        assert await puppets.do(0, "link", 1) == "NotFound"

    test()


@guarantee
def an_unlink_is_in_time_or_too_late() -> None:
    """K11: then nothing happens, or exactly one thing, whoever unlinks; links of others stay."""

    async def run(sim: Sim, by: int) -> None:
        order: list[str] = []
        told: dict[str, list[str]] = {"near": [], "far": []}

        async def linked(ctx: ProcessContext, number: int) -> str:
            async for message in ctx.inbox:
                if message.topic == "fail":
                    order.append("failed")
                    raise ValueError("fails")
                if message.topic == "end":
                    break
                order.append("unlinked")
                ctx.unlink(pair[1 - number])
            return "lived"

        async def trapping(ctx: ProcessContext, name: str) -> None:
            ctx.options.trap_links = True
            async for event in ctx.events:
                told[name].append(event.sender)

        async def asking(ctx: ProcessContext) -> None:
            ctx.send(pair[by], "unlink")  # from somebody else: it may overtake `fail`

        pair = [await sim.spawn(linked, number) for number in range(2)]
        near, far = [await sim.spawn(trapping, name) for name in told]
        links = sim.node.topology
        for one, other in (pair, (near, pair[0]), (far, pair[1])):
            links.link(one, other)
        await sim.settle()
        await sim.spawn(asking)
        sim.send(pair[0], "fail")
        await sim.settle()
        in_time = order[0] == "unlinked"
        assert told == {"near": [pair[0]], "far": [] if in_time else [pair[1]]}
        assert links.links_of(pair[1]) == ([far] if in_time else [])
        if in_time:
            sim.send(pair[1], "end")
        end = await sim.node.wait(pair[1])
        result = str(end.error) if end.error else end.value
        assert result == ("lived" if in_time else "linked process failed")
        sim.sometimes("in time", in_time)
        sim.sometimes("too late", not in_time)

    @explore(schedules=times(40), report=("text",))
    async def by_the_failing(sim: Sim) -> None:
        await run(sim, 0)

    @explore(schedules=times(40), report=("text",))
    async def by_the_survivor(sim: Sim) -> None:
        await run(sim, 1)

    by_the_failing()
    by_the_survivor()
