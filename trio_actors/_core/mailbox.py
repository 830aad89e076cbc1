"""Mailboxes: which channel a message or event belongs to (processes.md §2.2, §3).

The theory: a message of topic T belongs to the open channel of T, else to the open inbox, else it
waits in the mailbox (L2); control events belong to the events channel, else they wait (L3).

Order: within one channel arrival order. Across channels arrival order matters only to an upgrade,
which puts everything back (U3); so messages get arrival numbers only once a topic channel was
opened: before that there is one queue.

A mailbox whose reader will look into its queue soon has a *route*: that very queue, to which
senders append Parcels themselves. It has none while anything else is to be done with a message: a
task to be woken, a topic's channel to be found, a copy to be made, a time to be read from the clock
because nobody knows when the reader will look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from trio.lowlevel import enable_ki_protection

from trio_actors._core.message import Event, EventKind, Message, Parcel, since
from trio_actors._core.pace import Hand, Pace
from trio_actors._core.reader import Reader
from trio_actors._core.subscription import BUDGET, Subscription


class Mailbox(Protocol):
    """Where a process's messages and events go; one per process, whatever runs it.

    Every ask looks at the two attributes. `direct`: its drive may answer in the caller's turn.
    `typed`: classes of requests that a handler takes whose code cannot keep the request (ask.py).
    """

    @property
    def direct(self) -> bool: ...

    @property
    def typed(self) -> Mapping[type, Any]: ...

    @property
    def route(self) -> deque[Any] | None:
        """Takes Parcels in place of `put`; None while there is more to do."""
        ...

    def put(self, message: Message) -> object:
        """Takes a message; never blocks, never fails for want of room (M13).

        True if nobody was waiting for it: it is unread for a while, and is to get a stamp (PH8).
        """
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

    def unread_since(self) -> float | None:
        """Since when the oldest unread message waits, by `Node.stamp` (PH8); None if none does."""
        ...

    def close(self) -> None:
        """The process has ended: channels close, what is unread is discarded (L14)."""
        ...


NO_TYPES: Mapping[type, Any] = MappingProxyType({})


class CountedMailbox(Mailbox, Protocol):
    """A mailbox that can be limited (bounded.py) and from which a message can be withdrawn."""

    on_take: Callable[[], None] | None  # called whenever a message was taken

    def load(self) -> int:
        """How many messages are unread; events do not count."""
        ...

    def oldest(self) -> Message | None:
        """The message that waits longest."""
        ...

    def discard(self, message: Message) -> bool:
        """Takes out this very message; False if it was read, or never came."""
        ...


class Routed:
    """A mailbox that has a route at times. While it is open nobody takes anything out.

    What senders append by themselves is counted when the route closes.
    """

    __slots__ = ()

    hand: Hand
    route: deque[Any] | None
    counted: int  # how many of the queue's items did not come by the route

    def close_route(self) -> None:
        """From now on messages come through `put`."""
        if self.route is not None:
            self.hand.appended += len(self.route) - self.counted
            self.route = None  # type: ignore[misc]  # a slot of those that are routed

    def appended(self) -> int:
        """How many came by the route and are not counted yet."""
        return len(self.route) - self.counted if self.route is not None else 0


class Untyped:
    """Base of mailboxes whose reader gets requests as they are."""

    __slots__ = ()
    direct = False
    typed: Mapping[type, Any] = NO_TYPES


class PythonMailbox(Pace, Routed, Untyped):
    """The mailbox of a process that runs as Python code, with what may be taken from it at once."""

    __slots__ = (
        "_arrived",
        "_ends",
        "_events",
        "_inbox",
        "_on_take",
        "_topics",
        "_waiting",
        "_waiting_events",
        "counted",
        "marked",
        "route",
        "stepped",
    )
    stepped: Reader | None  # the process's code, while it has no task

    def __init__(self, hand: Hand) -> None:
        super().__init__(BUDGET, hand)
        self.route: deque[Message | Parcel] | None = None  # the inbox's queue, or none
        self.counted = 0
        self.marked: list[Subscription] | None = None
        self.stepped = None
        self._ends = False
        self._inbox: Subscription | None = None
        self._events: Subscription | None = None
        self._topics: dict[str, Subscription] | None = None
        self._waiting: deque[Message] | None = None
        self._waiting_events: deque[Event] | None = None
        self._arrived = 0  # counts only once a topic channel was opened
        self._on_take: Callable[[], None] | None = None

    @enable_ki_protection
    def put(self, message: Message) -> bool:
        """L2: the topic's channel, else the inbox, else it waits."""
        topics = self._topics
        if topics is None:
            inbox = self._inbox
            if inbox is not None:
                queue = inbox.queue
                if queue is not None and inbox.selective is None:
                    queue.append(message)  # something is queued, so nobody waits
                    self.counted += 1
                    return True
                unread = inbox.push(message)
                if unread and inbox.waking:
                    self.open_route()
                return unread
        else:
            self._arrived += 1
            message.arrival = self._arrived
            channel = topics.get(message.topic)
            if channel is None:  # an empty channel is false
                channel = self._inbox
            if channel is not None:
                return channel.push(message)
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(message)
        return True

    @enable_ki_protection
    def open_route(self) -> None:
        """The reader is to run in this turn of Trio's loop or the next: until then, append."""
        self.close_route()
        inbox = self._inbox
        if inbox is None or inbox.selective is not None or self._topics is not None:
            return
        self.exhaust()  # another task of the process has to wait until it is closed
        if inbox.queue is not None:
            self.route = inbox.queue
            self.counted = len(self.route)
            self.hand.look()

    def unmark(self) -> None:
        """Takes the marks out of the queues: what may be taken is counted."""
        for channel in list(self.marked or ()):
            channel.unmark()

    def exhaust(self) -> None:
        """As that of any pace."""
        if self.marked:
            self.unmark()
        Pace.exhaust(self)  # `super()` takes as long as all of it

    def go_on(self) -> None:
        """As that of any pace."""
        if self.marked:
            self.unmark()
        Pace.go_on(self)

    def give_back(self, other: Pace, most: int) -> None:
        """As that of any pace."""
        if self.marked:
            self.unmark()
        Pace.give_back(self, other, most)

    def put_event(self, event: Event) -> None:
        """L3: the events channel, else it waits."""
        if self._ends and event.kind is EventKind.CANCEL:
            self.inbox().shut()
        if self._events is not None:
            self._events.push(event)
            return
        if self._waiting_events is None:
            self._waiting_events = deque()
        self._waiting_events.append(event)

    def end_when_asked(self) -> None:
        """A CANCEL ends the inbox for its readers, also one that is unread already."""
        self._ends = True
        events: Iterable[Event] = self._waiting_events or ()
        if self._events is not None:
            events = self._events.unread()
        if any(event.kind is EventKind.CANCEL for event in events):
            self.inbox().shut()

    def inbox(self) -> Subscription:
        """The inbox; the first call opens it and moves everything that waits (L4, L6)."""
        if self._inbox is None:
            self._inbox = Subscription(self, "@inbox", raw=False)
            self._inbox.on_take = self._on_take
            if self._waiting is not None:
                self._inbox.extend(self._waiting)
                self._waiting = None
        return self._inbox

    def events(self) -> Subscription:
        """The events channel; the first call opens it and moves what waits (L3)."""
        if self._events is None:
            self._events = Subscription(self, "@events", raw=False)
            if self._waiting_events is not None:
                self._events.extend(self._waiting_events)
                self._waiting_events = None
        return self._events

    def listen(self, topic: str, as_message: bool) -> Subscription:
        """The channel of a topic; opening it moves the waiting messages of that topic (L4-L8)."""
        if self._topics is None:
            self._topics = {}
            if self._inbox is not None:
                self._inbox.unpack()
            for message in self._unread():
                self._arrived += 1
                message.arrival = self._arrived
        channel = self._topics.get(topic)
        if channel is None:
            channel = Subscription(self, topic, raw=not as_message)
            channel.on_take = self._on_take
            self._topics[topic] = channel
            if self._waiting is not None:
                mine = [m for m in self._waiting if m.topic == topic]
                channel.extend(mine)
                self._waiting = deque(m for m in self._waiting if m.topic != topic)
        elif as_message:
            channel.raw = False
        return channel

    @enable_ki_protection
    def forget(self, channel: Subscription) -> None:
        """Closes a channel; later messages find another way (L10, L12)."""
        if channel.closed:
            return
        if channel is self._inbox:
            self.close_route()
            self._inbox = None
        elif channel is self._events:
            self._events = None
        elif self._topics is not None and self._topics.get(channel.topic) is channel:
            del self._topics[channel.topic]
        channel.shut()
        for _ in range(len(channel)):  # what it still holds is not in the mailbox any more
            if self._on_take is not None:
                self._on_take()

    def _channels(self) -> Iterator[Subscription]:
        if self._inbox is not None:
            yield self._inbox
        if self._topics is not None:
            yield from self._topics.values()

    def _unread(self) -> list[Message]:
        """Unread messages, channel by channel."""
        messages = [message for channel in self._channels() for message in channel.unread()]
        return messages + list(self._waiting or ())

    @enable_ki_protection
    def drain(self) -> list[Message | Event]:
        """Everything unread; messages in arrival order, then events in arrival order (U3)."""
        messages = self._unread()
        if self._topics is not None:
            messages.sort(key=lambda message: message.arrival)
        events: list[Event] = self._events.unread() if self._events is not None else []
        events += list(self._waiting_events or ())
        self.close()
        return [*messages, *events]

    def depth(self) -> int:
        """Unread messages and events."""
        total = sum(len(channel) for channel in self._channels())
        total += len(self._events) if self._events is not None else 0
        return total + len(self._waiting or ()) + len(self._waiting_events or ())

    @property
    def on_take(self) -> Callable[[], None] | None:
        """Called whenever a message was taken."""
        return self._on_take

    @on_take.setter
    def on_take(self, callback: Callable[[], None] | None) -> None:
        self._on_take = callback
        for channel in self._channels():
            channel.on_take = callback

    def load(self) -> int:
        """Unread messages."""
        return sum(len(channel) for channel in self._channels()) + len(self._waiting or ())

    def oldest(self) -> Message | None:
        """The message that waits longest."""
        heads = [channel.oldest() for channel in self._channels()]
        heads += [self._waiting[0] if self._waiting else None]
        found: list[Message] = [head for head in heads if head is not None]
        if not found:
            return None
        oldest = found[0]
        if len(found) > 1:  # then there are topic channels, so messages are numbered
            oldest = min(found, key=lambda message: message.arrival)
        return oldest

    def unread_since(self) -> float | None:
        """When the message that waits longest began to."""
        return since(self.oldest())

    def discard(self, message: Message) -> bool:
        """Takes out this very message."""
        if any(channel.discard(message) for channel in self._channels()):
            return True
        for index, waiting in enumerate(self._waiting or ()):
            if waiting is message:
                assert self._waiting is not None
                del self._waiting[index]
                return True
        return False

    def idle(self) -> bool:
        """True if a task waits for one of the channels."""
        return any(channel.awaited for channel in self._all())

    def _all(self) -> Iterator[Subscription]:
        yield from self._channels()
        if self._events is not None:
            yield self._events

    @enable_ki_protection
    def close(self) -> None:
        """L14: channels close, unread messages are discarded."""
        self.close_route()
        self._waiting = self._waiting_events = None
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            inbox.end()
        if self._topics is None and self._events is None:
            return
        channels = list(self._all())
        self._events = self._topics = None
        for channel in channels:
            channel.end()
