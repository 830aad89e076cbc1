"""Who reads a channel: a task, or code that a dispatcher steps; and whose channel it is."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import outcome
from trio.lowlevel import Task, checkpoint, reschedule

from trio_actors._core.wake import IDLE, sleep_at


class Reader(Protocol):
    """Code that reads in the turns of a dispatcher, and has no task (roaming.py)."""

    custom_sleep_data: Any  # the channel while it waits there

    def stays(self) -> bool:
        """True if it is this that runs, and it may wait without a task."""
        ...

    def reschedule(self, answer: outcome.Outcome[Any]) -> None:
        """Goes on with it."""
        ...

    def may_take(self) -> bool:
        """True if there are messages left for it in this turn of the dispatcher."""
        ...

    def pause(self) -> None:
        """Sees that it has another turn, in which it may take at least one."""
        ...


class Owner(Protocol):
    """The mailbox that a channel belongs to; its pace is that of all its channels (pace.py)."""

    left: int
    marked: Any  # its channels that have a mark in their queue; None for none so far
    until: float
    route: deque[Any] | None  # the inbox's queue while senders may append to it
    stepped: Reader | None  # the process's code, while it has no task

    def look(self) -> bool:
        """Whether one more item may be taken, after `left` of them."""
        ...

    def take(self) -> bool:
        """Uses one; False if a checkpoint is due."""
        ...

    def unmark(self) -> None:
        """Takes all marks out."""
        ...

    def take_many(self, wanted: int) -> int:
        """Takes more items, as many as may be taken at once; says how many."""
        ...

    def go_on(self) -> None:
        """The reader has passed a checkpoint that was due."""
        ...

    def open_route(self) -> None:
        """The reader is at a checkpoint of a channel."""
        ...

    def close_route(self) -> None:
        """Something is to be done with the queue."""
        ...

    def forget(self, channel: Any) -> None:
        """Closes the channel; later messages find another way (L10, L12)."""
        ...


def wake(reader: Task | Reader, answer: outcome.Outcome[Any]) -> None:
    """Goes on with who waits, whoever it is."""
    if isinstance(reader, Task):
        reschedule(reader, answer)
    else:
        reader.reschedule(answer)


async def let_others_run(stepped: Reader | None) -> None:
    """A checkpoint: a turn of the dispatcher for code that needs no task for it, else Trio's."""
    if stepped is not None and stepped.stays():
        stepped.pause()
        await sleep_at(IDLE)
    else:
        await checkpoint()
