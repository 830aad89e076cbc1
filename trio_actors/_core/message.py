"""What travels: messages of user topics, and control events.

These are the objects that exist once per message, so they are plain slotted classes: a frozen
attrs object costs three times as much to make.
"""

from __future__ import annotations

from copy import deepcopy
from enum import StrEnum
from typing import Any

from trio_actors._core.errors import ErrorKind, ProcessError, fresh, make_error
from trio_actors._core.pid import Pid

RESERVED = "@"  # topics that begin so belong to the framework (L1)


class Message:
    """One message: `topic`, `sender` (a PID, or None when unknown) and `payload` (L15).

    `payload` is None for no value, the value for one, a list for several (M30-M32).
    """

    __slots__ = ("arrival", "at", "payload", "sender", "topic")

    wanted = True  # False: a request whose caller does not wait any more
    at: float  # when it began to wait in a mailbox, by `Node.stamp`; unset while it did not
    arrival: int  # set by a mailbox that must remember the order across its channels

    def __init__(self, topic: str, sender: Pid | None, payload: Any) -> None:
        self.topic = topic
        self.sender = sender
        self.payload = payload

    def __repr__(self) -> str:
        return f"process.Message{{topic={self.topic!r}, from={self.sender}}}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return (self.topic, self.sender, self.payload) == (
            other.topic,
            other.sender,
            other.payload,
        )

    __hash__ = None  # type: ignore[assignment]  # payloads need not be hashable


class Sent(Message):
    """A Message as inner loops make it: `Sent()`, and then all three are set.

    To call a class that has no `__init__` of its own takes half as long.
    """

    __slots__ = ()
    __init__ = object.__init__


Parcel = tuple[str, Pid | None, Any, float]
"""A message in a queue that was open (`Mailbox.route`): topic, sender, payload, at.

The garbage collector forgets a tuple of texts and numbers at once, but comes back to each object:
with 100,000 of them unread that takes as long as all the rest.
"""


def unpacked(item: Any) -> Any:
    """An item of a queue as programs see it: the Message of a Parcel, all else as it is."""
    if item.__class__ is tuple:
        message = Sent()
        message.topic, message.sender, message.payload, message.at = item
        return message
    return item


def since(message: Message | None) -> float | None:
    """When a message began to wait, by `Node.stamp`; None for no message."""
    return getattr(message, "at", None)


def payload_of(values: tuple[Any, ...]) -> Any:
    """One message has one payload: nothing is None, one value itself, several a list (M30-M33)."""
    if len(values) == 1:
        return values[0]
    return list(values) if values else None


VETTED: set[str] = set()  # topics that have passed; programs use few, so the set stays small


def vet_topic(topic: str) -> None:
    """Refuses a topic that user code may not send to (M3, M9).

    Raises:
        ProcessInvalid: the topic begins with `@`.
        TypeError: not a text.
    """
    if topic in VETTED:
        return
    if not isinstance(topic, str):
        raise TypeError(f"topic must be a str, not {type(topic).__name__}")
    if topic.startswith(RESERVED):
        raise make_error(ErrorKind.INVALID, "cannot send to @ topics")
    if len(VETTED) >= 4096:
        VETTED.clear()
    VETTED.add(topic)


def copy_value(value: Any, what: str) -> Any:
    """A deep copy for a host with `copy_messages` (M26); INVALID if `what` cannot be copied."""
    try:
        return deepcopy(value)
    except Exception as exc:
        raise make_error(ErrorKind.INVALID, f"{what} cannot be copied: {exc}") from exc


class EventKind(StrEnum):
    """Control events (§5.5); the text is what programs in Lua see."""

    CANCEL = "pid.cancel"
    EXIT = "pid.exit"
    LINK_DOWN = "pid.link.down"
    OUTDATED = "pid.outdated"  # a newer definition of this process's code is there


class Result:
    """How a process ended: `value`, or `error` as a fresh exception (V1, PY12)."""

    __slots__ = ("_error", "_original", "value")

    def __init__(self, value: Any = None, error: ProcessError | None = None) -> None:
        self.value = value
        self._error = error
        self._original: ProcessError | None = None

    @classmethod
    def failed(cls, original: ProcessError) -> Result:
        """With a copy of an error, which is made when somebody looks at it."""
        result = cls()
        result._original = original
        return result

    @property
    def error(self) -> ProcessError | None:
        """The error, or None for a normal end."""
        if self._original is not None:
            self._error, self._original = fresh(self._original), None
        return self._error

    def __repr__(self) -> str:
        return f"Result(error={self.error!r})" if self.error else f"Result(value={self.value!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        return self.value == other.value and repr(self.error) == repr(other.error)

    __hash__ = None  # type: ignore[assignment]  # values need not be hashable


class Event:
    """A control event: `kind`, `sender`, `at` (unix seconds), and by kind `deadline`, `result`.

    `deadline` is an RFC 3339 text, only in a CANCEL that has one (K3).
    """

    __slots__ = ("at", "deadline", "kind", "result", "sender")

    wanted = True

    def __init__(
        self,
        kind: EventKind,
        sender: Pid,
        at: float,
        *,
        deadline: str | None = None,
        result: Result | None = None,
    ) -> None:
        self.kind = kind
        self.sender = sender
        self.at = at
        self.deadline = deadline
        self.result = result

    def __repr__(self) -> str:
        extra = f", result={self.result!r}" if self.result is not None else ""
        extra += f", deadline={self.deadline}" if self.deadline is not None else ""
        return f"Event({self.kind.value}, from={self.sender}{extra})"
