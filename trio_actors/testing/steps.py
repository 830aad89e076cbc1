"""Level "step": the pump decides which task of the processes runs next (TS10).

The theory: each task's coroutine is wrapped by one that, whenever Trio resumes the task, first
waits for the pump. So among the tasks that could run, one runs at a time, in an order that a policy
chooses and a schedule records: races over memory that tasks of a process share become visible. A
task that waits for the pump has been resumed already, so a cancellation reaches it a step later.

Trio offers no hook for this; the wrapper takes the place of `Task.coro` when the task is spawned.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.current import running
from trio_actors.testing.footprint import owner_of

if TYPE_CHECKING:
    from trio_actors.testing.pump import Pump


class StepInstrument(trio.abc.Instrument):
    """Wraps every task that is spawned; those of processes wait for the pump."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._counts: dict[str, int] = {}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """A task was made and has not run yet."""
        task.coro = self._gated(task.coro, task)  # type: ignore[assignment]

    async def _gated(self, coro: Coroutine[Any, Any, Any], task: trio.lowlevel.Task) -> Any:
        name: tuple[str, str] | None = None
        value: Any = None
        failure: BaseException | None = None
        while True:
            if name is None:
                name = self._name(task)
            if name is not None and self._pump.exploring:
                await self._wait(task, name)
            try:
                trap = coro.send(value) if failure is None else coro.throw(failure)
            except StopIteration as stop:
                return stop.value
            value, failure = None, None
            try:
                value = await _pass_on(trap)
            except BaseException as exc:  # noqa: ASYNC103  thrown into the coroutine above
                failure = exc

    def _name(self, task: trio.lowlevel.Task) -> tuple[str, str] | None:
        pid = owner_of(task.context.get(running))
        if pid is None:
            return None
        label = self._pump.labels.of(pid)
        count = self._counts[label] = self._counts.get(label, 0) + 1
        return f"{label}~{count}", label

    async def _wait(self, task: trio.lowlevel.Task, name: tuple[str, str]) -> None:
        def never(_: Any) -> trio.lowlevel.Abort:
            return trio.lowlevel.Abort.FAILED

        def go() -> None:
            trio.lowlevel.reschedule(task)

        self._pump.post_action(*name, "step", go)
        await trio.lowlevel.wait_task_rescheduled(never)


@types.coroutine
def _pass_on(trap: Any) -> Generator[Any, Any, Any]:
    """Hands to Trio what the wrapped coroutine yielded, and gives back what Trio sends."""
    return (yield trap)
