"""The async calls of one owner: they end with it, and its end waits for theirs.

Rules: F13, FU10. Each runs as a task of the node with a cancel scope of its own. A nursery per
frame would say the same; it was rejected because it costs 14 us for every call, and most calls
have no async children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
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

    def add(self, future: Future) -> None:
        """A call has been started."""
        self._running[future] = None

    def done(self, future: Future) -> None:
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
