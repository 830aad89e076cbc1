"""What supervisors decide by."""

from __future__ import annotations

import random

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.picking import check_rolled
from property_tests.profiles import times
from supervision import Supervisor, child
from supervision.intensity import IntensityWindow
from trio_actors import ProcessContext
from trio_actors.testing import Sim, explore


@guarantee
def an_intensity_window_counts_the_last_period() -> None:
    """SU13: more than so many within the period, both ends included."""
    rng = random.Random(3)
    for _ in range(300):
        limit, period = rng.randrange(4), rng.choice([1.0, 5.0])
        window = IntensityWindow(limit, period)
        times: list[float] = []
        now = 0.0
        for _ in range(12):
            now += rng.choice([0.0, 0.5, 1.0, 3.0, 6.0])
            times.append(now)
            recent = [time for time in times if now - period <= time]
            assert window.add(now) == (len(recent) <= limit)


@guarantee
def a_supervisor_decides_as_its_model() -> None:
    """SU3-SU30: `supervision.decide` against `models.supervisor`, on fewer histories."""
    from property_tests.test_supervisor_decisions import check, make_plot

    check_rolled(check, make_plot, 400)


@guarantee
def children_stop_one_after_another() -> None:
    """SU5: in reverse start order, each when the one before has ended; also in group restarts."""

    @explore(schedules=times(40), report=("text",))
    async def test(sim: Sim) -> None:
        running: list[str] = []

        async def part(ctx: ProcessContext, name: str) -> None:
            running.append(name)
            ctx.started()
            try:
                await ctx.events.receive()
                await trio.sleep(0.1)
                assert running[-1] == name, f"{name} stops while {running[-1]} runs"
            finally:
                running.remove(name)

        names = ("a", "b", "c")
        tree = Supervisor(
            strategy="one_for_all",
            intensity=3,
            children=[child(name, part, name, ready=True, start_timeout=100) for name in names],
        )
        await sim.start(tree, name="sup")
        second = list(sim.node.processes)[2]
        sim.kill(second)
        await sim.run_for(200)
        assert second not in sim.node.processes
        assert running == list(names)
        sim.node.cancel("sup")
        await sim.run_for(1)
        assert running == []

    test()
