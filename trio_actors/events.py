"""The event bus of a node: something happened, and whoever subscribed hears of it.

    async with events.subscribe("registry", "entry.*") as sub:
        async for event in sub:
            print(event.kind, event.path, event.data)
    events.send("orders", "order.paid", "order/17", {"sum": 5})

Best effort and in memory; subscribers keep what they have not read, senders never wait (EV4).

Rules: section 12 of functions.md (EV1-EV5), GC2 (the twin of the Lua module), 9.4 (permissions).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

import attrs
import trio

from trio_actors._core.current import current
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors.permission import require

if TYPE_CHECKING:
    from types import TracebackType

    from trio_actors._core.context import ProcessContext
    from trio_actors._core.exit import Exit
    from trio_actors._core.node import Node
    from trio_actors._core.pid import Pid

__all__ = ["BusEvent", "EventBus", "EventSubscription", "bus_of", "send", "subscribe"]

NAME = "events"


@attrs.frozen(slots=True)
class BusEvent:
    """What a subscriber receives; `data` is its own copy, None when there is none."""

    system: str
    kind: str
    path: str
    data: Any = None


def matches(pattern: str, text: str) -> bool:
    """Exact, `*` for all, or a prefix with one trailing `*`. Rule: EV2.

    >>> matches("test.*", "test.a.b"), matches("test.*", "test"), matches("*", "x")
    (True, False, True)
    """
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


class EventSubscription:
    """The events of one subscriber, in the order of their sending (EV3).

    An async iterable, and an async context manager that closes it.
    """

    def __init__(self, bus: EventBus, system: str, kind: str, owner: Pid | None = None) -> None:
        self.system = system
        self.kind = kind
        self.owner = owner  # who reads it
        self._bus = bus
        self._send, self._receive = trio.open_memory_channel[BusEvent](float("inf"))

    def wants(self, event: BusEvent) -> bool:
        """Whether an event fits the patterns."""
        return matches(self.system, event.system) and matches(self.kind, event.kind)

    def put(self, event: BusEvent) -> None:
        """One more event; never waits."""
        data = None if event.data is None else copy.deepcopy(event.data)
        self._send.send_nowait(attrs.evolve(event, data=data))

    async def receive(self) -> BusEvent:
        """The next event. Checkpoint: always. Raises: trio.EndOfChannel when closed and empty."""
        return await self._receive.receive()

    def close(self) -> None:
        """No further events; what has arrived can still be read. Repeatable."""
        self._bus.forget(self)
        self._send.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BusEvent:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class EventBus:
    """The bus of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._subscriptions: dict[EventSubscription, None] = {}

    def subscribe(
        self, system: str, kind: str = "*", *, caller: ProcessContext | None = None
    ) -> EventSubscription:
        """Events sent from now on; ends with the caller (EV5).

        Raises: ProcessInvalid for an empty system, ProcessPermissionDenied.
        """
        if not system:
            raise make_error(ErrorKind.INVALID, "events.subscribe: system cannot be empty")
        require(self.node, caller, "events.subscribe", system)
        owner = None if caller is None else caller.pid
        subscription = EventSubscription(self, system, kind or "*", owner)
        self.node.touch("events", None, write=True)
        self._subscriptions[subscription] = None
        if caller is not None:

            def ended(exit: Exit) -> None:
                subscription.close()

            caller.process.on_exit(ended)
        return subscription

    def send(
        self,
        system: str,
        kind: str,
        path: str,
        data: Any = None,
        *,
        caller: ProcessContext | None = None,
    ) -> None:
        """Tell every subscriber whose patterns fit; never waits.

        Raises: ProcessInvalid for an empty part, ProcessPermissionDenied.
        """
        for name, value in (("system", system), ("kind", kind), ("path", path)):
            if not value:
                raise make_error(ErrorKind.INVALID, f"events.send: {name} cannot be empty")
        require(self.node, caller, "events.send", system)
        self.announce(BusEvent(system, kind, path, data))

    def announce(self, event: BusEvent) -> None:
        """Deliver an event of the framework itself."""
        self.node.touch("events", None)
        for subscription in list(self._subscriptions):
            if subscription.wants(event):
                self.node.touch("process", subscription.owner, write=True)
                subscription.put(event)

    def forget(self, subscription: EventSubscription) -> None:
        """Take a subscription out; repeatable."""
        self.node.touch("events", None, write=True)
        self._subscriptions.pop(subscription, None)


def bus_of(node: Node) -> EventBus:
    """The bus of a node, made when it is first asked for."""
    bus = node.extensions.setdefault(NAME, None) or EventBus(node)
    node.extensions[NAME] = bus
    return bus


def _here() -> tuple[EventBus, ProcessContext]:
    caller = current()
    return bus_of(caller.node), caller


def subscribe(system: str, kind: str = "*") -> EventSubscription:
    """Events for the running process or function; see `EventBus.subscribe`."""
    bus, caller = _here()
    return bus.subscribe(system, kind, caller=caller)


def send(system: str, kind: str, path: str, data: Any = None) -> None:
    """Tell everybody, from the running process or function; see `EventBus.send`."""
    bus, caller = _here()
    bus.send(system, kind, path, data, caller=caller)
