"""The async calls of one owner: they end with it, and its end waits for theirs.

Rules: F13, FU10. Each runs as a task of the node with a cancel scope of its own. A nursery per
frame would say the same; it was rejected because it costs 14 us for every call, and most calls
have no async children.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.errors import ErrorKind, as_process_error, make_error

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors.functions.future import Future

__all__ = ["Children"]


class Children:
    """The running async calls of a frame, a process or the root."""

    __slots__ = ("_empty", "_running", "closed")

    def __init__(self) -> None:
        self._running: dict[Future, None] = {}
        self._empty: trio.Event | None = None
        self.closed = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, node: Node, future: Future, work: Callable[[], Awaitable[Any]]) -> None:
        """Runs a call in a task of its own; its outcome goes into the future."""
        self._running[future] = None
        node.start_system_task(self._run, future, work)

    async def _run(self, future: Future, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            with future.scope:
                try:
                    future.succeed(await work())
                except Exception as error:
                    future.fail(as_process_error(error))
        finally:
            # F16: cancelled with its owner, or by a cancellation of the whole node.
            future.fail(make_error(ErrorKind.CANCELED, "call cancelled", retryable=None))
            self._done(future)

    def _done(self, future: Future) -> None:
        """A call has unwound."""
        del self._running[future]
        if not self._running and self._empty is not None:
            self._empty.set()

    def cancel(self) -> None:
        """Cancels all that run; does not wait."""
        self.closed = True
        for future in list(self._running):
            future.abandon()

    async def finish(self) -> None:
        """Cancels all that run and returns when they have unwound (F13, F17).

        Checkpoint: only if something runs. Cancellation from outside has to wait too.
        """
        self.cancel()
        if self._running:
            self._empty = trio.Event()
            with trio.CancelScope(shield=True):
                await self._empty.wait()
