"""Guarantee 58: Calls start in the order of their arrival."""

from __future__ import annotations

from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st

from property_tests.guarantees.registry import guarantee
from property_tests.models.pool import Pool
from property_tests.profiles import drawn, times
from trio_actors import ProcessContext, ProcessUnavailable
from trio_actors.functions import open_functions
from trio_actors.testing import Sim, explore

CALLS = 7
FEW = drawn(20)

pools = st.one_of(
    st.just({"type": "inline"}),
    st.builds(
        lambda limit, buffer, overflow, field: {
            field: limit,
            "buffer": buffer,
            "overflow": overflow,
        },
        st.integers(1, 3),
        st.integers(0, 2),
        st.sampled_from(["reject", "block"]),
        st.sampled_from(["workers", "max_size"]),
    ),
)
# Some calls at once; then one that runs ends, or one is given up, each by its number modulo.
programs = st.lists(
    st.tuples(st.sampled_from(["ask", "ask two", "end", "end", "give up"]), st.integers(0, 9)),
    min_size=3,
    max_size=14,
)


class Play:
    """A function that runs until it is told to end, its callers, and the model beside them."""

    def __init__(self, model: Pool) -> None:
        self.model = model
        self.running: dict[int, trio.Event] = {}
        self.started: list[int] = []
        self.refused: set[int] = set()
        self.scopes: dict[int, trio.CancelScope] = {}

    async def function(self, call: int) -> int:
        """What is called."""
        self.started.append(call)
        self.running[call] = trio.Event()
        try:
            await self.running[call].wait()
        finally:
            del self.running[call]
        return call

    async def caller(self, ctx: ProcessContext, call: int) -> None:
        """Calls when it is told to."""
        await ctx.inbox.receive()
        self.model.ask(call)
        with trio.CancelScope() as self.scopes[call]:
            try:
                assert await ctx.call_function("app:f", call) == call
            except ProcessUnavailable:
                self.refused.add(call)


@guarantee
def a_pool_refines_its_model() -> None:
    """PL4-PL8, PL20: limits, the order of starts, and refusals, for every order of the callers."""

    @FEW
    @given(pool=pools, program=programs)
    @explore(schedules=times(3), report=("text",))
    async def test(sim: Sim, pool: dict[str, Any], program: list[tuple[str, int]]) -> None:
        limit = pool.get("workers", pool.get("max_size", 1))
        play = Play(Pool(limit, pool.get("buffer"), block=pool.get("overflow") == "block"))
        model, asked = play.model, 0
        async with open_functions(sim.node) as functions:
            functions.register("app:f", play.function, pool=pool)
            for call in range(CALLS):
                await sim.spawn(play.caller, call, name=f"caller{call}")
            for act, number in program:
                match act:
                    case "ask" | "ask two":
                        for _ in range(1 + (act == "ask two")):
                            if asked < CALLS:
                                sim.send(f"caller{asked}", "now")
                                asked += 1
                    case "end" if play.running:
                        call = sorted(play.running)[number % len(play.running)]
                        play.running[call].set()
                        model.leave(call)
                    case "give up" if asked:
                        call = number % asked
                        play.scopes[call].cancel()
                        model.leave(call)
                await sim.run_for(0)
                assert set(play.running) == model.running
                assert play.started == model.started
                assert play.refused == model.refused
                stats = functions.statistics("app:f")
                assert (stats.busy, stats.queued) == (len(model.running), len(model.waiting))
            for event in list(play.running.values()):
                event.set()
            for scope in play.scopes.values():
                scope.cancel()
            await sim.run_for(0)
            assert (play.running, functions.statistics("app:f").busy) == ({}, 0)

    test()
