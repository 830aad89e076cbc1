"""How a task waits for another one of the node, and what it is woken with.

`trio.lowlevel.wait_task_rescheduled` makes two coroutines, an object for Trio's loop (the *trap*)
and whatever the abort function is bound to, each time: half the time of a wait, 0.5 us. A trap is a
value: it says that the task sleeps, and names the abort function. So one of them serves for every
wait that has the same abort function, and is yielded to the loop again and again. Should a
version of Trio make traps that differ from each other, or answer them in another way, its own
function is used.

`outcome.Value`, a frozen class, costs three times as much as `Given`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import coroutine
from typing import Any, TypeVar

import outcome
from trio.lowlevel import Abort, wait_task_rescheduled

ResultT = TypeVar("ResultT")
AbortFunction = Callable[[Any], Abort]


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


def trap_of(abort: AbortFunction) -> Any:
    """What `wait_task_rescheduled(abort)` yields to Trio's loop."""
    waiting = wait_task_rescheduled(abort)  # noqa: ASYNC105  driven by hand
    trap = waiting.send(None)
    waiting.close()
    return trap


def _leave(_: Any) -> Abort:
    return Abort.SUCCEEDED


def _answered_by_outcomes() -> bool:
    """Whether a wait gets the outcome that `reschedule` was given, and unwraps it."""
    waiting = wait_task_rescheduled(_leave)  # noqa: ASYNC105  driven by hand
    waiting.send(None)
    try:
        waiting.send(Given("value"))
    except StopIteration as stop:
        return bool(stop.value == "value")
    waiting.close()
    return False


ASLEEP = trap_of(_leave)
# Nothing in a trap belongs to one wait alone.
SHARED = bool(trap_of(_leave) == ASLEEP) and _answered_by_outcomes()


class Idle:
    """What code yields that has nothing to do: its dispatcher goes on with it when there is."""

    __slots__ = ()


IDLE = Idle()


@coroutine
def sleep_at(trap: Any = ASLEEP) -> Generator[Any, Any, Any]:
    """Waits for what `trap` says; IDLE: until its dispatcher goes on with it."""
    got = yield trap
    if got is GO or got is None:  # None: who drives it has seen that it was GO
        return None
    try:
        return got.unwrap()
    finally:
        del got  # it would be in a cycle with its error


async def sleep_by_trio() -> Any:
    return await wait_task_rescheduled(_leave)


sleep = sleep_at if SHARED else sleep_by_trio
"""Sleeps until `reschedule`; a cancelled task leaves at once, and has to clean up behind itself.

Who is to wake a task sees in its `custom_sleep_data`, which Trio clears, whether it still sleeps.
"""


class ReusableTrap:
    """A trap whose abort function can be changed, for waits of any kind."""

    __slots__ = ("abort", "trap")
    abort: list[AbortFunction]

    def __init__(self) -> None:
        abort = self.abort = [_leave]

        def leave(raise_cancel: Any) -> Abort:
            return abort[0](raise_cancel)

        self.trap = trap_of(leave)


_unused = [ReusableTrap() for _ in range(256)]  # to make one takes as long as two waits


def _wait(abort: AbortFunction) -> Awaitable[Any]:
    if _unused:
        try:
            return _wait_with(_unused.pop(), abort)
        except IndexError:  # the last one was taken by Trio in another thread
            pass
    return wait_task_rescheduled(abort)  # noqa: ASYNC105  by the caller


@coroutine
def _wait_with(shared: ReusableTrap, abort: AbortFunction) -> Generator[Any, Any, Any]:
    shared.abort[0] = abort
    got = yield shared.trap
    shared.abort[0] = _leave
    _unused.append(shared)
    if got is GO:
        return None
    try:
        return got.unwrap()
    finally:
        del got


wait = _wait if SHARED else wait_task_rescheduled
"""As `trio.lowlevel.wait_task_rescheduled`, in half of its time; for waits that are short.

Of more than 256 at a time the others take the time that Trio's own function takes.
"""
