"""Guarantee 52: Errors keep message, kind, retryable and details."""

from __future__ import annotations

from typing import Any

import pytest

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ErrorKind,
    ProcessContext,
    ProcessError,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_call_gives_the_value_or_a_fresh_error() -> None:
    """C1-C6, Q11, PY12."""

    @explore(schedules=times(5), report=("text",))
    async def test(sim: Sim) -> None:
        original = ProcessError("bad", kind=ErrorKind.CONFLICT, details={"n": 1})

        async def good(ctx: ProcessContext, number: int) -> int:
            return number * 2

        async def bad(ctx: ProcessContext) -> None:
            raise original

        assert await sim.call(good, 21) == 42
        with pytest.raises(ProcessError) as caught:
            await sim.call(bad)
        assert caught.value is not original
        assert type(caught.value) is trio_actors.ProcessConflict
        assert caught.value.details == {"n": 1}

    test()


@guarantee
def several_values_are_one_message() -> None:
    """M30-M33 and the sender."""

    @explore(schedules=times(3), report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def receiver(ctx: ProcessContext) -> None:
            async for message in ctx.inbox:
                got.append((message.sender, message.payload))

        async def sender(ctx: ProcessContext) -> None:
            ctx.send("r", "t")
            ctx.send("r", "t", 1)
            ctx.send("r", "t", 1, None, 3)

        await sim.spawn(receiver, name="r")
        pid = await sim.spawn(sender)
        await sim.settle()
        assert got == [(pid, None), (pid, 1), (pid, [1, None, 3])]

    test()
