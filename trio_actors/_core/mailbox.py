"""Mailboxes and the channels that programs read them through (processes.md §2.2, §3).

The theory: a message of topic T belongs to the open channel of T, else to the open inbox, else it
waits in the mailbox (L2); control events belong to the events channel, else they wait (L3). Each
channel is an unbounded queue with the tasks that wait for it, longest waiting first (PY4).

Order: within one channel arrival order. Across channels arrival order matters only to an upgrade,
which puts everything back (U3); so messages get arrival numbers only once a topic channel was
opened: before that there is one queue.

Fairness: receiving takes at most BUDGET messages and BUDGET_SECONDS between checkpoints. That is
why `receive` of a full channel is not always a checkpoint, and why it is fast.

Rejected: trio memory channels (5.6 us per item, 2.2 KB each), an Event per wait, a Condition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, Self

import outcome
import trio
from trio.lowlevel import Abort, Task, current_task, wait_task_rescheduled

from trio_actors._core.message import Event, Message, copy_value

Wanted = Callable[[Any], bool]

BUDGET = 32  # messages between checkpoints
BUDGET_SECONDS = 0.001  # and at most this long


class Mailbox(Protocol):
    """Where a process's messages and events go; one per process, whatever runs it."""

    def put(self, message: Message) -> None:
        """Takes a message; never blocks, never fails for want of room (M13)."""
        ...

    def put_event(self, event: Event) -> None:
        """Takes a control event."""
        ...

    def drain(self) -> list[Message | Event]:
        """Everything unread, in arrival order; the mailbox is empty afterwards (U3)."""
        ...

    def depth(self) -> int:
        """How many messages and events are unread."""
        ...

    def close(self) -> None:
        """The process has ended: channels close, what is unread is discarded (L14)."""
        ...


class Subscription(trio.abc.ReceiveChannel[Any]):
    """The inbox, the events or one topic of a process, as an async iterable (PY4, PY5).

    `receive` gives the next item, `receive_nowait` too or raises `trio.WouldBlock`; a closed and
    drained channel raises `trio.EndOfChannel`. Unbounded and lossless (L5).

    Invariant: a task waits only while nothing is queued, or one item for a task woken before it,
    that is while `len(queue) <= woken`.
    """

    __slots__ = (
        "_first",
        "_mailbox",
        "_others",
        "_selective",
        "_woken",
        "closed",
        "queue",
        "raw",
        "topic",
    )

    def __init__(self, mailbox: PythonMailbox, topic: str, raw: bool) -> None:
        self.queue: deque[Any] = deque()
        self.topic = topic
        self.raw = raw  # yields payloads, not Message objects (L7, L8)
        self.closed = False
        self._mailbox = mailbox
        self._first: Task | None = None  # the longest waiting task
        self._others: deque[Task] | None = None  # those behind it; an empty deque costs 0.6 KB
        self._woken = 0  # 1 while a task was woken for the first item and has not run yet
        self._selective: list[tuple[Task, Wanted]] | None = None

    # -- the mailbox's side

    def push(self, item: Any) -> None:
        """Appends an item and wakes the longest waiting task, if one waits."""
        if self._selective is not None and self._hand_over(item):
            return
        task = self._first
        if task is None:
            self.queue.append(item)
        elif self._others or self._woken:  # they may run in any order: each gets its own item
            self._first = self._others.popleft() if self._others else None
            trio.lowlevel.reschedule(task, outcome.Value(item))
        else:
            self.queue.append(item)
            self._first = None
            self._woken = 1
            trio.lowlevel.reschedule(task)

    def _hand_over(self, item: Any) -> bool:
        assert self._selective is not None
        for index, (task, wanted) in enumerate(self._selective):
            if wanted(item):
                del self._selective[index]
                self._selective = self._selective or None
                trio.lowlevel.reschedule(task, outcome.Value(item))
                return True
        return False

    def shut(self) -> None:
        """Closes; waiting tasks end with EndOfChannel, queued items can still be read."""
        self.closed = True
        while self._first is not None:
            task, self._first = self._first, self._others.popleft() if self._others else None
            trio.lowlevel.reschedule(task, outcome.Error(trio.EndOfChannel()))
        selective, self._selective = self._selective, None
        for task, _ in selective or ():
            trio.lowlevel.reschedule(task, outcome.Error(trio.EndOfChannel()))

    @property
    def awaited(self) -> bool:
        """True if a task waits for an item."""
        return self._first is not None or self._selective is not None

    # -- the program's side

    def receive_nowait(self) -> Any:
        """The next item; never a checkpoint.

        Raises:
            trio.WouldBlock: nothing is there, or it is meant for a task that waits already.
            trio.EndOfChannel: closed and drained.
        """
        if len(self.queue) > self._woken:
            return self._take()
        if self.closed:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    async def receive(self) -> Any:
        """The next item, waiting for it if need be.

        Checkpoint: whenever it waits, and at least every 32 items or 1 ms.
        Order: arrival order; of several waiting tasks the longest waiting is served first.
        """
        if len(self.queue) > self._woken:
            mailbox = self._mailbox
            if mailbox.budget > 0:
                mailbox.budget -= 1
                if perf_counter() < mailbox.budget_until:
                    return self._take()
            await trio.lowlevel.checkpoint()
            mailbox.renew()
            if len(self.queue) > self._woken:
                return self._take()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
        return await self._wait()

    async def _wait(self) -> Any:
        if self.closed:
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise trio.EndOfChannel
        task = current_task()
        if self._first is None:
            self._first = task
        else:
            if self._others is None:
                self._others = deque()
            self._others.append(task)

        def give_up(_: Any) -> Abort:
            self._withdraw(task)
            return Abort.SUCCEEDED

        item = await wait_task_rescheduled(give_up)
        self._mailbox.renew()
        if item is not None:
            return item.payload if self.raw else item
        self._woken = 0
        if not self.queue:  # the process has ended meanwhile: this task is not one of its own
            raise trio.EndOfChannel
        return self._take()

    def _withdraw(self, task: Task) -> None:
        if self._first is task:
            self._first = self._others.popleft() if self._others else None
        else:
            assert self._others is not None
            self._others.remove(task)

    async def receive_where(self, wanted: Wanted) -> Any:
        """The first item for which `wanted` is true; the others stay in order. A checkpoint."""
        await trio.lowlevel.checkpoint()
        for index, item in enumerate(self.queue):
            if index >= self._woken and wanted(item):  # those before belong to woken tasks
                del self.queue[index]
                return item
        if self.closed:
            raise trio.EndOfChannel
        entry = (current_task(), wanted)
        if self._selective is None:
            self._selective = []
        self._selective.append(entry)

        def give_up(_: Any) -> Abort:
            assert self._selective is not None
            self._selective.remove(entry)
            self._selective = self._selective or None
            return Abort.SUCCEEDED

        return await wait_task_rescheduled(give_up)

    def _take(self) -> Any:
        item = self.queue.popleft()
        return item.payload if self.raw else item

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def __aiter__(self) -> Self:
        return self

    def close(self) -> None:
        """Unlistens (L10, L13); repeatable. What is queued can still be read."""
        self._mailbox.forget(self)

    async def aclose(self) -> None:
        """As `close`, and a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.queue)


class PythonMailbox:
    """The mailbox of a process that runs as Python code."""

    __slots__ = (
        "_arrived",
        "_events",
        "_inbox",
        "_topics",
        "_waiting",
        "_waiting_events",
        "budget",
        "budget_until",
    )

    def __init__(self) -> None:
        self._inbox: Subscription | None = None
        self._events: Subscription | None = None
        self._topics: dict[str, Subscription] | None = None
        self._waiting: deque[Message] | None = None
        self._waiting_events: deque[Event] | None = None
        self._arrived = 0  # counts only once a topic channel was opened
        self.budget = 0
        self.budget_until = 0.0

    def renew(self) -> None:
        """A checkpoint has passed: a new budget begins."""
        self.budget = BUDGET
        self.budget_until = perf_counter() + BUDGET_SECONDS

    def exhaust(self) -> None:
        """Makes the next receive a checkpoint: somebody wants the process to notice something."""
        self.budget = 0

    def put(self, message: Message) -> None:
        """L2: the topic's channel, else the inbox, else it waits."""
        topics = self._topics
        if topics is None:
            if self._inbox is not None:
                self._inbox.push(message)
                return
        else:
            self._arrived += 1
            message.arrival = self._arrived
            channel = topics.get(message.topic)
            if channel is None:  # an empty channel is false
                channel = self._inbox
            if channel is not None:
                channel.push(message)
                return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(message)

    def put_event(self, event: Event) -> None:
        """L3: the events channel, else it waits."""
        if self._events is not None:
            self._events.push(event)
            return
        if self._waiting_events is None:
            self._waiting_events = deque()
        self._waiting_events.append(event)

    def inbox(self) -> Subscription:
        """The inbox; the first call opens it and moves everything that waits (L4, L6)."""
        if self._inbox is None:
            self._inbox = Subscription(self, "@inbox", raw=False)
            if self._waiting is not None:
                self._inbox.queue.extend(self._waiting)
                self._waiting = None
        return self._inbox

    def events(self) -> Subscription:
        """The events channel; the first call opens it and moves what waits (L3)."""
        if self._events is None:
            self._events = Subscription(self, "@events", raw=False)
            if self._waiting_events is not None:
                self._events.queue.extend(self._waiting_events)
                self._waiting_events = None
        return self._events

    def listen(self, topic: str, as_message: bool) -> Subscription:
        """The channel of a topic; opening it moves the waiting messages of that topic (L4-L8)."""
        if self._topics is None:
            self._topics = {}
            for message in self._unread():
                self._arrived += 1
                message.arrival = self._arrived
        channel = self._topics.get(topic)
        if channel is None:
            channel = Subscription(self, topic, raw=not as_message)
            self._topics[topic] = channel
            if self._waiting is not None:
                mine = [m for m in self._waiting if m.topic == topic]
                channel.queue.extend(mine)
                self._waiting = deque(m for m in self._waiting if m.topic != topic)
        elif as_message:
            channel.raw = False
        return channel

    def forget(self, channel: Subscription) -> None:
        """Closes a channel; later messages find another way (L10, L12)."""
        if channel.closed:
            return
        if channel is self._inbox:
            self._inbox = None
        elif channel is self._events:
            self._events = None
        elif self._topics is not None and self._topics.get(channel.topic) is channel:
            del self._topics[channel.topic]
        channel.shut()

    def _channels(self) -> Iterator[Subscription]:
        if self._inbox is not None:
            yield self._inbox
        if self._topics is not None:
            yield from self._topics.values()

    def _unread(self) -> list[Message]:
        """Unread messages, channel by channel."""
        messages = [message for channel in self._channels() for message in channel.queue]
        return messages + list(self._waiting or ())

    def drain(self) -> list[Message | Event]:
        """Everything unread; messages in arrival order, then events in arrival order (U3)."""
        messages = self._unread()
        if self._topics is not None:
            messages.sort(key=lambda message: message.arrival)
        events: list[Event] = list(self._events.queue) if self._events is not None else []
        events += list(self._waiting_events or ())
        self.close()
        return [*messages, *events]

    def depth(self) -> int:
        """Unread messages and events."""
        total = sum(len(channel.queue) for channel in self._channels())
        total += len(self._events.queue) if self._events is not None else 0
        return total + len(self._waiting or ()) + len(self._waiting_events or ())

    def idle(self) -> bool:
        """True if a task waits for one of the channels."""
        return any(channel.awaited for channel in self._all())

    def _all(self) -> Iterator[Subscription]:
        yield from self._channels()
        if self._events is not None:
            yield self._events

    def close(self) -> None:
        """L14: channels close, unread messages are discarded."""
        for channel in self._all():
            channel.queue.clear()
        self._close_channels()

    def _close_channels(self) -> None:
        for channel in list(self._all()):
            channel.shut()
        self._inbox = self._events = self._topics = None
        self._waiting = self._waiting_events = None


class CopyingMailbox(PythonMailbox):
    """Copies each payload in depth, to find state that processes share by mistake (M26)."""

    __slots__ = ()

    def put(self, message: Message) -> None:
        """As ever, with a copy of the payload; what cannot be copied is refused."""
        payload = copy_value(message.payload, f"payload of topic {message.topic!r}")
        super().put(Message(message.topic, message.sender, payload))
