"""Raw Trio pieces that several workloads use as floors."""

from __future__ import annotations

from collections import deque
from typing import Any

import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled


class DequeMailbox:
    """The thinnest mailbox that raw Trio allows: a deque and `wait_task_rescheduled`."""

    __slots__ = ("items", "task")

    def __init__(self) -> None:
        self.items: deque[Any] = deque()
        self.task: Task | None = None

    def put(self, item: Any) -> None:
        """Appends and wakes the reader."""
        self.items.append(item)
        if self.task is not None:
            task, self.task = self.task, None
            reschedule(task)

    async def get(self) -> Any:
        """The next item; a checkpoint only when it waits."""
        if not self.items:
            self.task = current_task()

            def give_up(_: Any) -> Abort:
                self.task = None
                return Abort.SUCCEEDED

            await wait_task_rescheduled(give_up)
        return self.items.popleft()


Pair = tuple[trio.MemorySendChannel[Any], trio.MemoryReceiveChannel[Any]]


def channels(count: int, size: float) -> list[Pair]:
    """`count` memory channels."""
    return [trio.open_memory_channel[Any](size) for _ in range(count)]
