"""Guarantee 26: A spawn with `ready=True`."""

from __future__ import annotations

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessError,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_ready_spawn_ends_in_one_of_three() -> None:
    """PH5: ready, the end of the child, or given up; then nothing is left."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        async def child(ctx: ProcessContext, after: float, ends: float) -> None:
            with trio.move_on_after(ends):
                await trio.sleep(after)
                ctx.started()
                await trio.sleep_forever()
            raise ValueError("ended")

        host = await sim.host()
        pid = await host.spawn(child, 1, 50, ready=True)
        assert pid in sim.node.processes
        with pytest.raises(ProcessError, match="ended"):
            await host.spawn(child, 20, 2, ready=True)
        with trio.move_on_after(5) as scope:
            await host.spawn(child, 40, 50, ready=True, name="late")
        assert scope.cancelled_caught
        assert set(sim.node.processes) == {pid}

    test()
