"""What clients did to a shared object, with the order of beginnings and ends (TS18)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
import trio

if TYPE_CHECKING:
    from trio_actors.testing.pump import Pump


@attrs.define(slots=True)
class Operation:
    """One operation: by whom, what, when it began and ended, what came back.

    `ended` is None while it is pending; that of a client that died stays so: it may have taken
    effect or not.
    """

    client: str
    name: str
    args: tuple[Any, ...]
    began: int
    ended: int | None = None
    result: Any = None
    error: BaseException | None = None

    def __str__(self) -> str:
        shown = ", ".join(map(repr, self.args))
        if self.ended is None:
            return f"{self.client}: {self.name}({shown}) -> pending"
        outcome = f"!{self.error}" if self.error is not None else repr(self.result)
        return f"{self.client}: {self.name}({shown}) -> {outcome}"


class History:
    """The operations of one run, in the order in which they began."""

    def __init__(self, pump: Pump | None = None) -> None:
        self._pump = pump
        self._events = 0
        self.operations: list[Operation] = []

    def _tick(self) -> int:
        self._events += 1
        return self._events

    def begin(self, client: str, name: str, *args: Any) -> Operation:
        """Notes that an operation begins."""
        operation = Operation(client, name, args, self._tick())
        self.operations.append(operation)
        return operation

    def end(
        self, operation: Operation, result: Any = None, error: BaseException | None = None
    ) -> None:
        """Notes that it has ended."""
        operation.result = result
        operation.error = error
        operation.ended = self._tick()

    async def record(
        self, client: str, name: str, function: Callable[..., Awaitable[Any]], *args: Any
    ) -> Any:
        """Runs `function(*args)` as the operation `name` of a client and notes how it went.

        An operation that is cancelled stays pending: nobody knows whether it took effect.
        """
        operation = self.begin(client, name, *args)
        try:
            result = await function(*args)
        except trio.Cancelled:
            raise
        except Exception as error:
            self.end(operation, error=error)
            raise
        self.end(operation, result)
        return result

    def __len__(self) -> int:
        return len(self.operations)
