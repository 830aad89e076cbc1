"""The mailbox of a supervisor: one queue of messages and events, in the order of arrival."""

from collections import deque
from typing import Any, Final

import trio

from trio_actors import Event, Message
from trio_actors._core.mailbox import Untyped
from trio_actors._core.message import since
from trio_actors._core.wake import GO

TURN: Final = 8  # items between checkpoints


class GivenUp(Exception):
    """The supervisor was abandoned as a zombie (SU8): it will hear of nothing any more."""


class SupervisorMailbox(Untyped):
    """One queue of everything, read by one task."""

    __slots__ = ("_closed", "_taken", "_task", "items")
    route = None

    def __init__(self) -> None:
        self.items: deque[Message | Event] = deque()
        self._closed = False
        self._task: trio.lowlevel.Task | None = None
        self._taken = 0

    def put(self, message: Message) -> bool:
        """Take a message."""
        waits = self._task is None
        self._add(message)
        return waits

    def put_event(self, event: Event) -> None:
        """Take a control event."""
        self._add(event)

    def _add(self, item: Message | Event) -> None:
        self.items.append(item)
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task, GO)

    def drain(self) -> list[Message | Event]:
        """Everything unread; the queue is empty afterwards."""
        items = list(self.items)
        self.items.clear()
        return items

    def depth(self) -> int:
        """How many items are unread."""
        return len(self.items)

    def unread_since(self) -> float | None:
        """When the message that waits longest began to."""
        return since(next((item for item in self.items if isinstance(item, Message)), None))

    def close(self) -> None:
        """Discard what is unread; who still reads is told."""
        self.items.clear()
        self._closed = True
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task, GO)

    async def get(self) -> Message | Event:
        """The next item. Checkpoint: when it waits, and at least every TURN items.

        Raises: GivenUp when there will be no other.
        """
        if not self.items:
            self._taken = 0
            if self._closed:
                raise GivenUp
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        elif self._taken >= TURN:
            self._taken = 0
            await trio.lowlevel.checkpoint()
        if not self.items:
            raise GivenUp  # closed meanwhile
        self._taken += 1
        return self.items.popleft()

    def _abort(self, _raise: Any) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
