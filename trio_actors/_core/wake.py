"""What a waiting task is woken with; `outcome.Value`, a frozen class, costs three times as much."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, TypeVar

import outcome

ResultT = TypeVar("ResultT")


class Given(outcome.Outcome[Any]):
    """A value, as `trio.lowlevel.reschedule` takes it; unlike `outcome.Value` also repeatedly."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def unwrap(self) -> Any:
        """The value."""
        return self.value

    def send(self, gen: Generator[ResultT, Any, object]) -> ResultT:
        """Sends the value into a generator."""
        return gen.send(self.value)

    async def asend(self, agen: AsyncGenerator[ResultT, Any]) -> ResultT:
        """Sends the value into an asynchronous generator."""
        return await agen.asend(self.value)


GO = Given(None)  # shared: wakes a task that looks for itself
