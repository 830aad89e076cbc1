"""The outcome of an async call, before and after it is there. Rules: section 4 (FU1-FU10)."""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from typing import Any

import outcome
import trio

from trio_actors._core.errors import ErrorKind, ProcessError, fresh, make_error

__all__ = ["Future", "Response"]


class _State(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


def _canceled() -> ProcessError:
    return make_error(ErrorKind.CANCELED, "canceled", retryable=None)


class Future:
    """One async call; `await future` gives its value or raises its error.

    The table of section 4 is the state (pending, success, failure) crossed with `canceled`.
    """

    __slots__ = ("_canceled", "_error", "_response", "_state", "_value", "_waiting", "scope")

    def __init__(self) -> None:
        self._state = _State.PENDING
        self._canceled = False
        self._value: Any = None
        self._error: ProcessError | None = None
        self._response: Response | None = None
        # Tasks that wait for the outcome, in order.
        self._waiting: dict[trio.lowlevel.Task, None] = {}
        # Around the call; there from the start, so that cancel works before the task runs.
        self.scope = trio.CancelScope()

    # -- the owner's side

    def is_complete(self) -> bool:
        """Whether there is an outcome."""
        return self._state is not _State.PENDING

    def is_canceled(self) -> bool:
        """Whether `cancel` was called."""
        return self._canceled

    def result(self) -> Any:
        """The value; None while pending; never blocks. Raises: the error, or ProcessCanceled."""
        if self._canceled:
            raise _canceled()
        if self._error is not None:
            raise fresh(self._error)
        return self._value

    def error(self) -> ProcessError | None:
        """The error of a failed call, else None."""
        return self._error

    def cancel(self) -> None:
        """Cancels the callee and drops an unread value; does not wait, never fails (FU8)."""
        if not self._canceled:
            self._canceled = True
            self.scope.cancel(reason="future cancelled")
            self._wake()

    def response(self) -> Response:
        """The channel of the outcome; always the same object (FU1-FU3)."""
        if self._response is None:
            self._response = Response(self)
        return self._response

    channel = response

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._wait_result().__await__()

    async def _wait_result(self) -> Any:
        await self.wait()
        return self.result()

    async def wait(self) -> None:
        """Returns when there is an outcome or the future was cancelled. Checkpoint: always."""
        if self._canceled or self._state is not _State.PENDING:
            await trio.lowlevel.checkpoint()
            return
        task = trio.lowlevel.current_task()
        self._waiting[task] = None

        def give_up(_: Any) -> trio.lowlevel.Abort:
            del self._waiting[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(give_up)

    # -- the call's side

    def succeed(self, value: Any) -> None:
        """The call returned; too late if it was cancelled before."""
        if not self._canceled and self._state is _State.PENDING:
            self._state = _State.SUCCESS
            self._value = value
            self._wake()

    def fail(self, error: ProcessError) -> None:
        """The call failed; too late if it was cancelled before."""
        if not self._canceled and self._state is _State.PENDING:
            self._state = _State.FAILURE
            self._error = error
            self._wake()

    def abandon(self) -> None:
        """The owner ends: the call is cancelled with it (F13)."""
        self.scope.cancel(reason="caller ended")

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for task in waiting:
            trio.lowlevel.reschedule(task, outcome.Value(None))


class Response(trio.abc.ReceiveChannel[Any]):
    """The channel form of a future: the plain value or the error object once, then the end.

    Reading it does not clear `result()` (FU4).
    """

    __slots__ = ("_future", "_read")

    def __init__(self, future: Future) -> None:
        self._future = future
        self._read = False

    def receive_nowait(self) -> Any:
        """The outcome, once. Raises: trio.WouldBlock, trio.EndOfChannel."""
        future = self._future
        if self._read or future.is_canceled():
            raise trio.EndOfChannel
        if not future.is_complete():
            raise trio.WouldBlock
        self._read = True
        error = future.error()
        return future.result() if error is None else error

    async def receive(self) -> Any:
        """The value, or the error as a value (FU3). Checkpoint: always."""
        if self._read:
            await trio.lowlevel.checkpoint()
        else:
            await self._future.wait()
        return self.receive_nowait()

    async def aclose(self) -> None:
        """Closes this channel; the future keeps its result."""
        self._read = True
        await trio.lowlevel.checkpoint()
