"""What a run consists of: deliveries that wait, and steps that were made."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from trio_actors._core.message import Event, Message
from trio_actors._core.pid import Pid
from trio_actors._core.process import Cancel, Item, Process
from trio_actors.testing.schedule import Fault, MessageId

Pair = tuple[str, str]


class Delivery:
    """One thing that waits to be delivered: an item for a process, or another action."""

    __slots__ = (
        "action",
        "due",
        "fault",
        "head_since",
        "id",
        "item",
        "overtaken",
        "pair",
        "posted_at",
        "posted_in",
        "seq",
        "source",
        "target",
        "what",
    )

    def __init__(
        self,
        pair: Pair,
        n: int,
        what: str,
        seq: int,
        posted_in: int,
        posted_at: float,
        source: Pid | None = None,
        target: Process | None = None,
        item: Any = None,
        action: Callable[[], object] | None = None,
    ) -> None:
        self.id = MessageId(pair[0], pair[1], n)
        self.pair = pair
        self.what = what  # topic or kind of event, for people
        self.seq = seq
        self.posted_in = posted_in  # the step that posted it; 0 = before the first
        self.posted_at = posted_at
        self.source = source
        self.target = target
        self.item = item
        self.action = action  # instead of an item for a target
        self.head_since = 0  # steps made when it became the first of its pair
        self.overtaken = False  # something posted later, or time, went first
        self.due = -inf  # not before this time (fault `delay`); set by `Pump.delay`
        self.fault: Fault | None = None

    @property
    def signal(self) -> bool:
        """Whether it is the kernel's own: a start, an exit, a cancel."""
        return self.target is not None and not isinstance(self.item, Message)

    def fire(self) -> None:
        """It arrives."""
        if self.target is not None:
            self.target.deliver(self.item)
        elif self.action is not None:
            self.action()


class Step:
    """One step that was made: a delivery, or None for time that passed."""

    __slots__ = ("_effects", "at", "delivery", "enabled", "footprint", "late")

    def __init__(self, delivery: Delivery | None, at: float, late: int) -> None:
        self.delivery = delivery
        self.at = at
        self.late = late  # how many steps the message was held
        self.enabled: list[MessageId | None] | None = None  # if the policy wants to know
        self.footprint: dict[Any, int] | None = None  # if it is taken
        self._effects: list[str] | None = None

    @property
    def id(self) -> MessageId | None:
        """What was delivered; None for time."""
        return self.delivery.id if self.delivery is not None else None

    @property
    def effects(self) -> tuple[str, ...]:
        """Ends and faults in this step, for pictures."""
        return tuple(self._effects or ())

    def note(self, effect: str) -> None:
        """Adds an effect."""
        if self._effects is None:
            self._effects = []
        self._effects.append(effect)


def what(item: Item) -> str:
    """An item in a word: topic, kind of event, CANCEL or start."""
    if isinstance(item, Message):
        return item.topic
    if isinstance(item, Event):
        return item.kind.name
    if isinstance(item, Cancel):
        return "CANCEL"
    return "start"
