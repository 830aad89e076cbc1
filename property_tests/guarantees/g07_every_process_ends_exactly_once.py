"""Guarantee 7: Every process ends exactly once, with a value or with an error."""

from __future__ import annotations

from typing import Any

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ErrorKind,
    ProcessContext,
    ProcessError,
)
from trio_actors.testing import Sim, explore


async def end_of(sim: Sim, fn: Any, *args: Any) -> Any:
    """The exit of a process."""
    pid = await sim.spawn(fn, *args)
    return await sim.node.wait(pid)


@guarantee
def an_end_is_what_the_table_says() -> None:
    """E20-E31: values, errors with their fields, exceptions, groups."""

    @explore(schedules=times(2), report=("text",))
    async def test(sim: Sim) -> None:
        async def value(ctx: ProcessContext) -> Any:
            return False

        async def known(ctx: ProcessContext) -> Any:
            raise ProcessError("x", kind=ErrorKind.CONFLICT, retryable=True, details={"a": 1})

        async def unknown(ctx: ProcessContext) -> Any:
            raise ValueError("boom")

        async def group(ctx: ProcessContext) -> Any:
            raise ExceptionGroup("g", [ValueError("one"), KeyError("two")])

        end = await end_of(sim, value)
        assert (end.value, end.error, end.abnormal) == (False, None, False)
        error = (await end_of(sim, known)).error
        assert (error.message, error.kind, error.retryable, error.details) == (
            "x",
            ErrorKind.CONFLICT,
            True,
            {"a": 1},
        )
        error = (await end_of(sim, unknown)).error
        assert (error.message, error.kind, error.retryable) == (
            "ValueError: boom",
            ErrorKind.INTERNAL,
            None,
        )
        error = (await end_of(sim, group)).error
        assert error.message == "ValueError: one"
        assert error.details == {"errors": ["KeyError: 'two'"]}

    test()
