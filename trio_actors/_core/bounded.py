"""Mailboxes with a limit, and the letters that were not delivered.

A mailbox is unbounded unless it was asked for otherwise: `spawn(..., mailbox=Bounded(1000))`.
The limit counts unread messages; control events are never limited. It stands in front of whatever
mailbox the code reads, so it holds for task processes, servers and upgraded code alike.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import attrs
import trio

from trio_actors._core.ask import Request
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors._core.mailbox import Untyped
from trio_actors._core.message import Event, Message
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors._core.mailbox import CountedMailbox
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process

logger = logging.getLogger("trio_actors.dead_letters")
Overflow = Literal["reject", "drop_new", "drop_old", "block"]
OVERFLOWS: tuple[Overflow, ...] = ("reject", "drop_new", "drop_old", "block")


@attrs.frozen(slots=True)
class Bounded:
    """A limit for a mailbox, and what happens to a message that finds it full.

    Attributes:
        limit: unread messages, at least 1.
        overflow: `reject`: the send raises ProcessUnavailable, retryable. `drop_new`: the message
            becomes a dead letter. `drop_old`: the oldest unread one does. `block`: `asend` waits
            for room, a plain `send` is rejected.
    """

    limit: int = attrs.field()
    overflow: Overflow = attrs.field(default="reject")

    @limit.validator
    def _check_limit(self, attribute: object, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"limit must be an int, not {type(value).__name__}")
        if value < 1:
            raise make_error(ErrorKind.INVALID, f"limit must be at least 1, not {value}")

    @overflow.validator
    def _check_overflow(self, attribute: object, value: object) -> None:
        if value not in OVERFLOWS:
            text = f"overflow must be one of {', '.join(OVERFLOWS)}; not {value!r}"
            raise make_error(ErrorKind.INVALID, text)


class Entrance(Untyped, ABC):
    """What stands before the mailbox of one process, and sees each message: it has no route."""

    __slots__ = ()
    route = None

    @abstractmethod
    def put(self, message: Message) -> object:
        """Takes a message, or does not."""

    @abstractmethod
    def put_event(self, event: Event) -> None:
        """Takes a control event; none is ever refused."""

    @property
    @abstractmethod
    def limit(self) -> Limited | None:
        """The limit, if one stands here."""

    @abstractmethod
    def moved(self) -> bool:
        """An upgrade has changed the mailbox; False if nothing is to stand before the new one."""


class Limited(Entrance):
    """What stands before the mailbox of one process and counts."""

    __slots__ = ("_bounds", "_expected", "_process", "_waiting", "_woken")

    def __init__(self, process: Process, bounds: Bounded) -> None:
        self._process = process
        self._bounds = bounds
        self._expected = 0  # what a gate holds back has its place already
        self._waiting: deque[trio.lowlevel.Task] | None = None
        self._woken = False  # one that was waiting has not run yet: nobody passes it

    @property
    def _mailbox(self) -> CountedMailbox:
        mailbox = self._process.mailbox  # an upgrade may have changed it
        return mailbox  # type: ignore[return-value]  # `limited` has checked it

    @property
    def limit(self) -> Limited:
        """Itself."""
        return self

    @property
    def direct(self) -> bool:  # type: ignore[override]
        """As the mailbox: what is answered at once takes no room."""
        return self._process.mailbox.direct

    @property
    def full(self) -> bool:
        """True if one more message would be too many."""
        self._process.node.touch("process", self._process.pid)
        load = self._expected + (0 if self._process.ended else self._mailbox.load())
        return not self._process.ended and load >= self._bounds.limit

    @property
    def blocks(self) -> bool:
        """True if `asend` waits for room."""
        return self._bounds.overflow == "block"

    def put(self, message: Message) -> object:
        """Takes the message, or does what the limit's overflow says.

        Raises:
            ProcessUnavailable: full, and senders are to know.
        """
        if self._expected:
            self._expected -= 1
        mailbox = self._mailbox
        if mailbox.load() >= self._bounds.limit:
            letters = self._process.node.dead_letters
            if self._bounds.overflow == "drop_new":
                letters.add(self._process.pid, message, "mailbox is full")
                return False
            if self._bounds.overflow != "drop_old":
                raise self._refusal(message)
            oldest = mailbox.oldest()
            if oldest is not None:
                mailbox.discard(oldest)
                letters.add(self._process.pid, oldest, "mailbox is full")
        return mailbox.put(message)

    def put_event(self, event: Event) -> None:
        """Events are never limited."""
        self._mailbox.put_event(event)

    def expect(self, message: Message) -> None:
        """A gate (TS1) will `put` the message later; whether it fits is decided now.

        Raises:
            ProcessUnavailable: as `put`.
        """
        if self._bounds.overflow not in ("drop_new", "drop_old"):
            if self.full:
                raise self._refusal(message)
            self._expected += 1

    def _refusal(self, message: Message) -> ProcessError:
        text = f"mailbox is full (limit={self._bounds.limit})"
        error = make_error(ErrorKind.UNAVAILABLE, text, retryable=True)
        error.undelivered = message
        return error

    async def wait_for_room(self) -> None:
        """Returns when a message fits; waiting senders are served first come, first served.

        Checkpoint: always. Returns too when the process has ended.
        """
        await trio.lowlevel.checkpoint()
        overtaken = False  # by a plain send, after the room was there: then it is the first again
        while self.full or (self._in_line and not overtaken):
            if self._waiting is None:
                self._waiting = deque()
                self._process.on_exit(lambda exit: self._release())
            self._mailbox.on_take = self._room
            task = trio.lowlevel.current_task()
            if overtaken:
                self._waiting.appendleft(task)
            else:
                self._waiting.append(task)

            def leave(_: Any, task: trio.lowlevel.Task = task) -> trio.lowlevel.Abort:
                assert self._waiting is not None
                self._waiting.remove(task)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(leave)
            self._woken = False
            overtaken = True

    def pass_on(self) -> None:
        """Who waited for room has sent: the next one may, if there is room still."""
        if self._waiting and not self.full:
            self._room()

    @property
    def _in_line(self) -> bool:
        return bool(self._woken or self._waiting) and not self._process.ended

    def moved(self) -> bool:
        """An upgrade has changed the mailbox; False if the new one (Lua's) has no limit.

        Who waits for room waits for that in the new mailbox.
        """
        if not _counted(self._process):
            self._release()
            return False
        if self._waiting:
            self._mailbox.on_take = self._room
            self.pass_on()
        return True

    def _room(self) -> None:
        if self._woken:
            return
        if self._waiting:
            self._woken = True
            trio.lowlevel.reschedule(self._waiting.popleft())
        else:
            self._mailbox.on_take = None

    def _release(self) -> None:
        while self._waiting:
            trio.lowlevel.reschedule(self._waiting.popleft())


def _counted(process: Process) -> bool:
    """Whether its mailbox is a CountedMailbox (Lua's is none)."""
    return hasattr(process.mailbox, "oldest")


def limit_of(process: Process) -> Limited | None:
    """The limit in front of a process's mailbox, or None."""
    entrance = process.entrance
    return entrance.limit if isinstance(entrance, Entrance) else None


def limited(process: Process, bounds: Bounded) -> Limited:
    """The limit in front of a process's mailbox.

    Raises:
        ProcessInvalid: this kind of process has a mailbox that cannot be limited (Lua).
    """
    if not isinstance(bounds, Bounded):
        raise TypeError(f"mailbox must be a Bounded, not {type(bounds).__name__}")
    if not _counted(process):
        raise make_error(ErrorKind.INVALID, f"the mailbox of {process.id} cannot be limited")
    return Limited(process, bounds)


@attrs.frozen(slots=True)
class DeadLetter:
    """A message that was not delivered: to whom, what, and why."""

    to: Pid
    message: Message
    reason: str


class DeadLetters:
    """The dead letters of a node: how many, the last ones, and who wants to see them.

    The log gets the first at once and then at most one line in LOG_SECONDS, with the count.
    """

    KEPT = 100
    LOG_SECONDS = 5.0

    def __init__(self, node: Node) -> None:
        self.count = 0
        self.recent: deque[DeadLetter] = deque(maxlen=self.KEPT)
        self._node = node
        self._logged_at: float | None = None
        self._logged_count = 0
        self._watchers: dict[Callable[[DeadLetter], None], None] = {}

    def __repr__(self) -> str:
        return f"<DeadLetters {self.count}, the last {len(self.recent)} kept>"

    def watch(self, watcher: Callable[[DeadLetter], None]) -> None:
        """Calls `watcher(letter)` for each from now on; it must not block."""
        self._watchers[watcher] = None

    def unwatch(self, watcher: Callable[[DeadLetter], None]) -> None:
        """Takes `watch` back."""
        self._watchers.pop(watcher, None)

    def add(self, to: Pid, message: Message, reason: str) -> None:
        """Notes one."""
        letter = DeadLetter(to, message, reason)
        self.count += 1
        self.recent.append(letter)
        if isinstance(message, Request):  # kept here, it cannot tell its caller by being dropped
            text = f"request {message.topic} was not delivered: {reason}"
            message.fail(make_error(ErrorKind.UNAVAILABLE, text, retryable=True))
        for watcher in list(self._watchers):
            watcher(letter)
        now = self._node.now()
        if self._logged_at is None or now >= self._logged_at + self.LOG_SECONDS:
            logger.warning(
                "dead letter for %s: %r (%s); %d since the last line",
                to,
                message,
                reason,
                self.count - self._logged_count,
                extra={"pid": to, "topic": message.topic},
            )
            self._logged_at = now
            self._logged_count = self.count
