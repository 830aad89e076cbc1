"""Guarantee 18: One failure ends the whole linked group."""

from __future__ import annotations

from property_tests.guarantees.puppets import Puppets
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors.testing import Sim, explore


@guarantee
def a_link_cascade_spreads_and_stops_at_a_trap() -> None:
    """K17 in a chain of five; the one who traps gets LINK_DOWN from its neighbour, once."""

    @explore(schedules=times(20), report=("text",))
    async def test(sim: Sim) -> None:
        puppets = Puppets(sim)
        await puppets.make(5)
        for index in range(4):
            await puppets.do(index, "link", index + 1)
        await puppets.do(1, "trap", 1)
        await puppets.do(4, "fail")
        assert puppets.alive() == {0, 1}
        assert puppets.counted(1) == {("pid.link.down", 2): 1}
        for index in (2, 3):
            error = (await sim.node.wait(puppets.pids[index])).error
            assert error is not None
            assert error.message == "linked process failed"

    test()
