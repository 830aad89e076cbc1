"""The channels that a process reads its mailbox through: unbounded queues with waiting tasks.

Order: arrival order; of several waiting tasks the longest waiting is served first (PY4). An item
that comes while a task waits is handed to that task with its wake-up, so a task waits only while
nothing is queued, no other task can take its item, and a process that waits needs no queue (an
empty deque is 0.6 KB). A task that was cancelled leaves when it runs; until then its entry is
known by `custom_sleep_data`, which is the channel only while the task sleeps here (wake.py).

Fairness: receiving takes at most BUDGET items and 1 ms between checkpoints (pace.py). That is why
`receive` of a full channel is not always a checkpoint, and why it is fast.

Rejected: trio memory channels (5.6 us per item, 2.2 KB each), an Event per wait, a Condition; to
wake a task and let it look for itself (another task may be quicker).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from types import FunctionType, TracebackType
from typing import Any, Protocol, Self

import outcome
import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from trio_actors._core.message import Sent, unpacked
from trio_actors._core.wake import GO, IDLE, Given, sleep, sleep_at

Wanted = Callable[[Any], bool]
Selective = tuple[Task, Wanted, set[Any]]  # who, for what, and the tasks before it

BUDGET = 32  # items between checkpoints

_CLOSED = object()  # handed to waiting tasks in place of an item


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
    until: float
    route: deque[Any] | None  # the inbox's queue while senders may append to it
    stepped: Reader | None  # the process's code, while it has no task

    def look(self) -> bool:
        """Whether one more item may be taken, after `left` of them."""
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

    def forget(self, channel: Subscription) -> None:
        """Closes the channel; later messages find another way (L10, L12)."""
        ...


def _wake(reader: Task | Reader, answer: outcome.Outcome[Any]) -> None:
    if isinstance(reader, Task):
        reschedule(reader, answer)
    else:
        reader.reschedule(answer)


class Subscription(trio.abc.ReceiveChannel[Any]):
    """The inbox, the events or one topic of a process, as an async iterable (PY4, PY5).

    `receive` gives the next item, `receive_nowait` too or raises `trio.WouldBlock`; a closed and
    drained channel raises `trio.EndOfChannel`. Unbounded and lossless (L5).
    """

    __slots__ = (
        "_first",
        "_handed",
        "_mailbox",
        "_others",
        "closed",
        "on_take",
        "queue",
        "raw",
        "selective",
        "topic",
    )

    def __init__(self, mailbox: Owner, topic: str, raw: bool) -> None:
        self.topic = topic
        self.raw = raw  # yields payloads, not Message objects (L7, L8)
        self.closed = False
        self.on_take: Callable[[], None] | None = None  # somebody waits for room (bounded.py)
        self._mailbox = mailbox
        self.queue: deque[Any] | None = None  # never empty
        self._first: Task | Reader | None = None  # the longest waiting task
        self._others: deque[Task | Reader] | None = None  # those behind it
        self._handed: Any = None  # for the task woken last, which has not run yet
        self.selective: list[Selective] | None = None

    # -- the mailbox's side

    @property
    def waking(self) -> bool:
        """True if a task was handed an item and has not run yet."""
        return self._handed is not None

    def push(self, item: Any) -> bool:
        """Hands an item to the longest waiting task, or appends it and returns True."""
        if self.selective is not None and self._hand_over(item):
            return False
        task = self._first
        if task is not None and task.custom_sleep_data is not self:
            task = self._longest_waiting()
        if task is not None:
            self._first = self._others.popleft() if self._others else None
            if self._handed is None:
                self._handed = item
                if task.__class__ is Task:  # _wake, written out
                    reschedule(task, GO)  # type: ignore[arg-type]  # it is one
                else:
                    task.reschedule(GO)  # type: ignore[union-attr]
            else:
                _wake(task, Given(item))
            return False
        if self.queue is None:
            self.queue = deque((item,))
        else:
            self.queue.append(item)
        return True

    def _hand_over(self, item: Any) -> bool:
        for entry in list(self.selective or ()):
            task, wanted, older = entry
            if self._longest_waiting() in older:  # it takes anything
                continue
            try:
                found = wanted(item)
            except Exception as exc:  # where the condition stands, not where somebody sends
                self._forget(entry)
                reschedule(task, outcome.Error(exc))
                continue
            if found:
                self._forget(entry)
                reschedule(task, Given(item))
                return True
        return False

    def _forget(self, entry: Selective) -> None:
        assert self.selective is not None
        self.selective.remove(entry)
        self.selective = self.selective or None

    def extend(self, items: Iterable[Any]) -> None:
        """Appends what waited before the channel was opened (L4)."""
        for item in items:
            self.push(item)

    def unread(self) -> list[Any]:
        """What is queued, oldest first; it stays."""
        return [unpacked(item) for item in self.queue or ()]

    def unpack(self) -> None:
        """Makes Messages of all that is queued."""
        self._set(deque(self.unread()))

    def oldest(self) -> Any:
        """The next item, or None; it stays."""
        if self.queue is None:
            return None
        item = self.queue[0] = unpacked(self.queue[0])
        return item

    def discard(self, item: Any) -> bool:
        """Takes this very item out; False if it is not there."""
        for index, queued in enumerate(self.queue or ()):
            if queued is item:
                self._delete(index)
                return True
        return False

    def end(self) -> None:
        """Discards what is queued, and closes (L14)."""
        self.queue = None
        self.closed = True
        if self._first is not None or self.selective is not None:
            self.shut()

    def _delete(self, index: int) -> None:
        assert self.queue is not None
        self._mailbox.close_route()
        del self.queue[index]
        if not self.queue:
            self._set(None)

    def _set(self, queue: deque[Any] | None) -> None:
        """Another queue, or none: nobody may append to the old one any more."""
        self._mailbox.close_route()
        self.queue = queue or None

    def shut(self) -> None:
        """Closes; waiting tasks end with EndOfChannel, queued items can still be read."""
        self.closed = True
        while (task := self._longest_waiting()) is not None:
            self._first = self._others.popleft() if self._others else None
            _wake(task, Given(_CLOSED))
        selective, self.selective = self.selective, None
        for task, _, _ in selective or ():
            reschedule(task, Given(_CLOSED))

    @property
    def awaited(self) -> bool:
        """True if a task waits for an item."""
        return self._longest_waiting() is not None or self.selective is not None

    def _longest_waiting(self) -> Task | Reader | None:
        """The first task, after those were removed that were cancelled and have not run since."""
        while (task := self._first) is not None and task.custom_sleep_data is not self:
            self._first = self._others.popleft() if self._others else None
        return task

    # -- the program's side

    def receive_nowait(self) -> Any:
        """The next item; never a checkpoint.

        Raises:
            trio.WouldBlock: nothing is there.
            trio.EndOfChannel: closed and drained.
        """
        if self.queue is not None:
            return self._take()
        if self.closed:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    async def receive(self, end: type[Exception] = trio.EndOfChannel) -> Any:
        """The next item, waiting for it if need be.

        Checkpoint: whenever it waits, and at least every 32 items or 1 ms.
        Order: arrival order; of several waiting tasks the longest waiting is served first.
        Raises: trio.EndOfChannel (or `end`): closed and drained.
        """
        mailbox = self._mailbox
        queue = self.queue
        if queue is not None:
            mailbox.left = left = mailbox.left - 1
            if left >= 0 or mailbox.look():
                item = queue.popleft()  # _take, written out: the inner loop of every consumer
                if not queue:
                    self.queue = None
                if item.__class__ is tuple:  # then it is an inbox without a limit
                    message = Sent()
                    message.topic, message.sender, message.payload, message.at = item
                    return message
                if self.on_take is not None:
                    self.on_take()
                return item.payload if self.raw else item
            stepped = mailbox.stepped
            if stepped is not None and stepped.stays():
                if not stepped.may_take():
                    mailbox.open_route()
                    stepped.pause()
                    await sleep_at(IDLE)
            else:
                mailbox.open_route()
                try:
                    await trio.lowlevel.checkpoint()
                finally:
                    mailbox.close_route()
                mailbox.go_on()
            if self.queue is not None:
                return self._take()
        if self.closed:
            await trio.lowlevel.checkpoint()
            raise end
        stepped = mailbox.stepped
        if stepped is not None and stepped.stays():
            if self._first is None:  # _enter, written out
                self._first = stepped
                stepped.custom_sleep_data = self
            else:
                self._enter(stepped)
            item = await sleep_at(IDLE)
            if item is None:
                item, self._handed = self._handed, None
            elif item is _CLOSED:
                raise end
            return item.payload if self.raw else item
        try:
            if self._first is None:  # _enter, written out: so it is with one reader
                self._first = task = current_task()
                task.custom_sleep_data = self
                del task  # it would be in a cycle with an error
            else:
                self._enter(current_task())
            item = await sleep()
        except (trio.Cancelled, KeyboardInterrupt):
            self._leave(current_task())  # in a local variable it would be in a cycle with its error
            raise
        if mailbox.route is not None:
            mailbox.close_route()
        mailbox.left = 0  # renew, written out
        mailbox.until = 0.0
        if item is None:
            item, self._handed = self._handed, None
        elif item is _CLOSED:
            raise end
        return item.payload if self.raw else item

    # The same code again: `async for` wants another exception, and no call in between.
    __anext__ = FunctionType(receive.__code__, globals(), "__anext__", (StopAsyncIteration,))

    def _take(self) -> Any:
        queue = self.queue
        assert queue is not None
        self._mailbox.close_route()
        item = unpacked(queue.popleft())
        if not queue:
            self.queue = None
        if self.on_take is not None:
            self.on_take()
        return item.payload if self.raw else item

    def _enter(self, task: Task | Reader) -> None:
        """Puts a task behind those that wait longer."""
        task.custom_sleep_data = self
        if self._first is None:
            self._first = task
            return
        if self._others is None:
            self._others = deque()
        self._others.append(task)

    def replace(self, reader: Reader, task: Task) -> None:
        """The reader goes on waiting as a task."""
        task.custom_sleep_data = self
        if self._first is reader:
            self._first = task
        elif self._others is not None:
            self._others[self._others.index(reader)] = task

    def _leave(self, task: Task) -> None:
        """The task was cancelled; who was to wake it may have removed it already."""
        if self._first is task:
            self._first = self._others.popleft() if self._others else None
        elif self._others is not None and task in self._others:
            self._others.remove(task)

    async def receive_where(self, wanted: Wanted) -> Any:
        """The first item for which `wanted` is true; the others stay in order. A checkpoint."""
        await trio.lowlevel.checkpoint()
        for index, queued in enumerate(self.queue or ()):
            item = unpacked(queued)
            if wanted(item):
                self._delete(index)
                if self.on_take is not None:
                    self.on_take()
                return item
        if self.closed:
            raise trio.EndOfChannel
        entry: Selective = (current_task(), wanted, {self._first, *(self._others or ())} - {None})
        if self.selective is None:
            self.selective = []
        self.selective.append(entry)
        self._mailbox.close_route()

        def leave(_: Any) -> Abort:
            self._forget(entry)
            return Abort.SUCCEEDED

        item = await wait_task_rescheduled(leave)
        if item is _CLOSED:
            raise trio.EndOfChannel
        return item

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
        return len(self.queue) if self.queue is not None else 0
