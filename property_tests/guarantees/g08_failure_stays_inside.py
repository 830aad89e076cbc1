"""Guarantee 8: Failure stays inside."""

from __future__ import annotations

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Faults, Sim, explore


@guarantee
def a_failure_harms_no_stranger() -> None:
    """TM4: siblings and host go on, whoever is killed or fails, and whenever."""

    @explore(
        schedules=times(40),
        faults=Faults(kill=0.3, only=("victim*",)),
        report=("text",),
        check_determinism=0,
    )
    async def test(sim: Sim) -> None:
        async def echo(ctx: ProcessContext) -> None:
            async for message in ctx.inbox:
                ctx.send(message.payload, "echo")

        async def victim(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            raise ValueError("fails")

        async def client(ctx: ProcessContext) -> str:
            ctx.send("echo", "ping", ctx.pid)
            return (await ctx.receive("echo")).topic

        steady = await sim.spawn(echo, name="echo")
        for number in range(2):
            await sim.spawn(victim, name=f"victim{number}")
            sim.send(f"victim{number}", "now")
        pid = await sim.spawn(client)
        await sim.settle()
        assert (await sim.node.wait(pid)).value == "echo"
        assert set(sim.node.processes) == {steady}
        await sim.spawn(echo)

    test()
