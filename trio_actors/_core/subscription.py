"""The channels that a process reads its mailbox through: unbounded queues with waiting tasks.

Order: arrival order; of several waiting tasks the longest waiting is served first (PY4). An item
that comes while a task waits is handed to that task with its wake-up, so a task waits only while
nothing is queued, no other task can take its item, and a process that waits needs no queue (an
empty deque is 0.6 KB). A task that was cancelled leaves when it runs; until then its entry is
known by `custom_sleep_data`, which is the channel only while the task sleeps here (wake.py).

Fairness: receiving takes at most BUDGET items and 1 ms between checkpoints (pace.py). That is why
`receive` of a full channel is not always a checkpoint, and why it is fast. What may be taken before
the next look at the clock is not counted: a *mark* stands in the queue behind it, and whoever takes
the mark looks. Before anything else is done with a queue its mark is taken out (`items`). After
an interrupt (E38) a mark may be missing; then that is all, and the rest may be taken.

Rejected: trio memory channels (5.6 us per item, 2.2 KB each), an Event per wait, a Condition; to
wake a task and let it look for itself (another task may be quicker).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import FunctionType, TracebackType
from typing import Any, Self

import trio
from trio.lowlevel import Task, current_task, enable_ki_protection, reschedule

from trio_actors._core.message import Sent, unpacked
from trio_actors._core.reader import Owner, Reader, wake
from trio_actors._core.selective import CLOSED, Selecting
from trio_actors._core.wake import GO, IDLE, Given, sleep, sleep_at

BUDGET = 32  # items between checkpoints
MARK = object()
END: type[Exception] = trio.EndOfChannel


class Subscription(Selecting, trio.abc.ReceiveChannel[Any]):
    """The inbox, the events or one topic of a process, as an async iterable (PY4, PY5).

    `receive` gives the next item, `receive_nowait` too or raises `trio.WouldBlock`; a closed and
    drained channel raises `trio.EndOfChannel`. Unbounded and lossless (L5).
    """

    __slots__ = ("_handed", "_marked", "raw", "topic")
    _marked: deque[Any] | None  # the queue while a mark is in it

    def __init__(self, mailbox: Owner, topic: str, raw: bool) -> None:
        self.topic = topic
        self.raw = raw  # yields payloads, not Message objects (L7, L8)
        self.closed = False
        self.on_take = None
        self._mailbox = mailbox
        self.queue = self._marked = self._first = self._others = self.selective = None
        self._handed: Any = None  # for the reader woken last, which has not run yet

    # -- the mailbox's side

    @property
    def waking(self) -> bool:
        """True if a task was handed an item and has not run yet."""
        return self._handed is not None

    @enable_ki_protection
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
                if task.__class__ is Task:  # wake, written out
                    reschedule(task, GO)
                else:
                    task.reschedule(GO)  # type: ignore[union-attr]
            else:
                wake(task, Given(item))
            return False
        if self.queue is None:
            self.queue = deque((item,))
        else:
            self.queue.append(item)
        return True

    def extend(self, items: Iterable[Any]) -> None:
        """Appends what waited before the channel was opened (L4)."""
        for item in items:
            self.push(item)

    def unread(self) -> list[Any]:
        """What is queued, oldest first; it stays."""
        return [unpacked(item) for item in self.items() or ()]

    def unpack(self) -> None:
        """Makes Messages of all that is queued."""
        self._set(deque(self.unread()))

    def oldest(self) -> Any:
        """The next item, or None; it stays."""
        queue = self.items()
        if not queue:
            return None
        item = queue[0] = unpacked(queue[0])
        return item

    def discard(self, item: Any) -> bool:
        """Takes this very item out; False if it is not there."""
        for index, queued in enumerate(self.items() or ()):
            if queued is item:
                self._delete(index)
                return True
        return False

    def end(self) -> None:
        """Discards what is queued, and closes (L14)."""
        self.unmark()
        self.queue = None
        self.closed = True
        if self._first is not None or self.selective is not None:
            self.shut()

    @enable_ki_protection
    def _delete(self, index: int) -> None:
        assert self.queue is not None
        self._mailbox.close_route()
        del self.queue[index]
        if not self.queue:
            self._set(None)

    @enable_ki_protection
    def _mark(self) -> deque[Any] | None:
        """Puts a mark behind what may be taken before the next look at the clock, when there was
        none, or when it was taken. The queue, or None: it is empty, or a checkpoint is due."""
        queue = self.queue
        mailbox = self._mailbox
        if queue:
            left = mailbox.left
            if left <= 0 and mailbox.look():
                left = mailbox.left + 1
            if left > 0:
                if self._marked is None:
                    if mailbox.marked is None:
                        mailbox.marked = []
                    mailbox.marked.append(self)
                    self._marked = queue
                if left < len(queue):
                    mailbox.left = 0
                    queue.insert(left, MARK)
                else:
                    mailbox.left = left - len(queue)
                    queue.append(MARK)
                return queue
        self._unmarked()
        return None

    def _unmarked(self) -> None:
        if self._marked is not None:
            self._marked = None
            self._mailbox.marked.remove(self)
        if not self.queue:
            self.queue = None

    @enable_ki_protection
    def unmark(self) -> None:
        """Takes the mark out, if there is one; what stands before it may be taken later."""
        queue = self._marked
        if queue is not None:
            try:
                index = queue.index(MARK)
            except ValueError:  # interrupted while it was being moved
                index = 0
            else:
                del queue[index]
            self._mailbox.left += index
            self._unmarked()

    def items(self) -> deque[Any] | None:
        """What is queued, to do with it whatever it be; None for nothing."""
        if self._marked is not None:
            self.unmark()
        return self.queue

    def _set(self, queue: deque[Any] | None) -> None:
        """Another queue, or none: nobody may append to the old one any more."""
        self._mailbox.close_route()
        self.queue = queue or None

    def shut(self) -> None:
        """Closes; waiting tasks end with EndOfChannel, queued items can still be read."""
        self.closed = True
        while (task := self._longest_waiting()) is not None:
            self._first = self._others.popleft() if self._others else None
            wake(task, Given(CLOSED))
        selective, self.selective = self.selective, None
        for reader, _, _ in selective or ():
            wake(reader, Given(CLOSED))

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

    @enable_ki_protection
    def receive_nowait(self) -> Any:
        """The next item; never a checkpoint.

        Raises:
            trio.WouldBlock: nothing is there.
            trio.EndOfChannel: closed and drained.
        """
        if self._head() is not None:
            return self._take()
        if self.closed:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    @enable_ki_protection
    async def receive(self) -> Any:
        """The next item, waiting for it if need be.

        Checkpoint: whenever it waits, and at least every 32 items or 1 ms.
        Order: arrival order; of several waiting tasks the longest waiting is served first.
        Raises: trio.EndOfChannel: closed and drained.
        """
        queue = self._marked
        while True:
            if queue is not None:
                try:
                    item = queue.popleft()
                except IndexError:  # interrupted while the mark was being moved
                    item = MARK
                if item.__class__ is tuple:  # unpacked, written out: every consumer's inner loop
                    message = Sent()
                    message.topic, message.sender, message.payload, _ = item
                    return message
                if item is not MARK:
                    if item.wanted:
                        return self._taken(item)
                    self._skipped()
                    continue
            elif self.queue is None:
                break
            queue = self._mark()
            if queue is None:
                break
        mailbox = self._mailbox
        if self.queue is not None:
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
            if self._head() is not None:
                return self._take()
        if self.closed:
            await trio.lowlevel.checkpoint()
            raise END
        stepped = mailbox.stepped
        if stepped is not None and stepped.stays():
            self._enter(stepped)
            return self._given(await sleep_at(IDLE), END)
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
        if mailbox.marked:
            mailbox.unmark()
        mailbox.left = 0  # renew, written out
        mailbox.until = 0.0
        return self._given(item, END)

    # The same code again: `async for` wants another exception, and no call in between.
    __anext__ = enable_ki_protection(
        FunctionType(
            receive.__code__.replace(co_name="__anext__"), {**globals(), "END": StopAsyncIteration}
        )
    )

    def _given(self, item: Any, end: type[Exception]) -> Any:
        """What a reader was woken with; None: it is the one that was woken last."""
        if item is None:
            item, self._handed = self._handed, None
        elif item is CLOSED:
            raise end
        return item.payload if self.raw else item

    def _head(self) -> deque[Any] | None:
        """What is queued, without requests at its head whose callers do not wait any more."""
        queue = self.items()
        while queue:
            item = queue[0]
            if item.__class__ is tuple or item.wanted:
                return queue
            del item  # who drops the request is to be noticed
            self._delete(0)
            self._skipped()
            queue = self.queue
        return None

    def _take(self) -> Any:
        queue = self.items()
        assert queue is not None
        self._mailbox.close_route()
        item = unpacked(queue.popleft())
        if not queue:
            self.queue = None
        return self._taken(item)

    def _taken(self, item: Any) -> Any:
        """An item as its reader gets it."""
        self._skipped()
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

    @enable_ki_protection
    async def receive_many(self) -> list[Any]:
        """What is there: at least one item, waiting for it if need be; in arrival order.

        For who handles many at once: each takes half as long as with `receive`. At most 32, or 128
        while the process has no task of its own.
        Checkpoint: as `receive`.
        Raises: trio.EndOfChannel: closed and drained.
        """
        mailbox = self._mailbox
        items = []
        if self._head() and mailbox.take():  # without a mark, which would be in the way
            items.append(self._take())
        else:
            items.append(await self.receive())
        queue = self.items()
        if queue is not None:
            stepped = mailbox.stepped
            if stepped is not None and stepped.stays():
                stepped.may_take()
            count = mailbox.take_many(len(queue))
            if self.raw or self.on_take is not None:
                for _ in range(count):
                    if self._head() is not None:
                        items.append(self._take())
                return items
            popleft = queue.popleft
            items += [item for _ in range(count) if (item := unpacked(popleft())).wanted]
            if not queue:
                self.queue = None
        return items

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
        queue = self.queue
        return len(queue) - (self._marked is not None) if queue else 0
