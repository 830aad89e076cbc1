"""Guarantee 42: An ask of oneself or of a dead process fails at once."""

from __future__ import annotations

import pytest

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessInvalid,
    ProcessNotFound,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


class Ping(trio_actors.Ask[str]):
    """Answered by any server of this file."""


class Pong(trio_actors.Server):
    """Answers, and ends when told so."""

    @trio_actors.handles(Ping)
    def ping(self, request: Ping) -> str:
        return "pong"


@guarantee
def an_ask_of_oneself_or_of_the_dead_fails_at_once() -> None:
    """It could never be answered."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        seen: list[str] = []

        async def narcissus(ctx: ProcessContext) -> None:
            with pytest.raises(ProcessInvalid, match="cannot ask itself"):
                await ctx.ask(ctx.pid, Ping())
            seen.append("refused")

        async def client(ctx: ProcessContext) -> None:
            try:
                seen.append(await ctx.ask(pid, Ping()))
            except (ProcessNotFound, ProcessUnavailable) as error:
                seen.append(str(error.kind))

        pid = await sim.spawn(Pong)
        await sim.spawn(narcissus)
        await sim.spawn(client)
        sim.kill(pid)
        await sim.settle()
        assert sorted(seen)[-1] == "refused" or "pong" in seen
        assert len(seen) == 2

    test()
