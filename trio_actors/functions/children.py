"""The async calls of one owner: they end with it, and its end waits for theirs.

Rules: F13, FU9, FU10, PL5. Each runs as a task of the node with a cancel scope of its own. A
nursery per frame would say the same; it was rejected because it costs 14 us for every call, and
most calls have no async children.

Trio starts the tasks of one turn in no particular order. A call that has its place in a line does
not care; the others start *in turn*, each after the first steps of the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import attrs
import trio

from trio_actors._core.errors import ErrorKind, as_process_error, make_error

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors.functions.future import Future

__all__ = ["Children", "Job", "Place"]


@attrs.frozen(slots=True)
class Job:
    """One async call: what is awaited, what is done with its value, where the outcome goes."""

    future: Future
    call: Coroutine[Any, Any, Any]
    then: Callable[[Any], Any] | None = None


class Place:
    """Whether an async call has its place in the line already."""

    __slots__ = ("taken",)

    def __init__(self) -> None:
        self.taken = False


class Children:
    """The running async calls of a frame, a process or the root."""

    __slots__ = ("_empty", "_in_turn", "_running", "closed")

    def __init__(self) -> None:
        self._running: dict[Future, None] = {}
        # Those that start in turn and have not, the next one first; each in its caller's context.
        self._in_turn: deque[tuple[Context, Job]] = deque()
        self._empty: trio.Event | None = None
        self.closed = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, node: Node, job: Job, *, in_turn: bool) -> None:
        """Runs a call in a task of its own; its outcome goes into the future."""
        self._running[job.future] = None
        if not in_turn:
            node.start_system_task(self._run, job)
            return
        self._in_turn.append((copy_context(), job))
        if len(self._in_turn) == 1:
            self._start_next(node)

    def _start_next(self, node: Node) -> None:
        context, job = self._in_turn[0]
        context.run(node.start_system_task, self._run_in_turn, node, job)

    async def _run_in_turn(self, node: Node, job: Job) -> None:
        self._in_turn.popleft()
        if self._in_turn:
            self._start_next(node)  # a turn later: this one's first steps come before
        await self._run(job, begun=False)

    async def _run(self, job: Job, *, begun: bool = True) -> None:
        future = job.future
        try:
            with future.scope:
                if not begun:  # cancelled before it began: it never runs (FU9)
                    await trio.lowlevel.checkpoint_if_cancelled()
                try:
                    value = await job.call
                    future.succeed(value if job.then is None else job.then(value))
                except Exception as error:
                    future.fail(as_process_error(error))
        finally:
            job.call.close()
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
            if self._empty is None:
                self._empty = trio.Event()
            with trio.CancelScope(shield=True):
                await self._empty.wait()
