"""What a server does with one message: find the handler, run it, give the reply, judge failures.

Shared by servers with plain handlers (stepped.py) and with async ones (carried.py).

An error that a handler raises as `ProcessError` while answering a request is the answer; every
other exception is a failure of the server. Control events come through the same queue as messages,
in arrival order, and are never limited.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import attrs
from trio.lowlevel import disable_ki_protection

from trio_actors._core.ask import Request, Waiter
from trio_actors._core.errors import FATAL, ErrorKind, ProcessError, leaves, make_error
from trio_actors._core.exit import Exit
from trio_actors._core.lifecycle import READY
from trio_actors._core.message import Event, EventKind, Message, Parcel, since, unpacked
from trio_actors._core.migration import Migration
from trio_actors._core.task import stops_the_host

if TYPE_CHECKING:
    from trio_actors._core.process import Process
    from trio_actors.server import Server

logger = logging.getLogger("trio_actors.server")
Handler = Callable[[Any, Any], Any]


@attrs.define(slots=True)
class HandlerTable:
    """Which method of a server class handles what; made once per class.

    Attributes:
        by_type: payload class (and, once met, its subclasses) to handler.
        by_topic: topic text to handler, which gets the Message.
        by_event: control event to handler, which gets the Event.
        named: class name to payload class, for messages that arrive as plain data.
        plain: no handler awaits.
        coroutines: the handlers that are coroutine functions.
        starting: the class has an `init` of its own.
        parting: the class has a `terminate` of its own.
        typed: request classes whose handler gets the payload and defers nothing, so that no code
            of the server ever holds the request (ask.py).
    """

    by_type: dict[type, Handler]
    by_topic: dict[str, Handler]
    by_event: dict[EventKind, Handler]
    named: dict[str, type]
    plain: bool
    starting: bool = False
    parting: bool = False
    typed: dict[type, Handler] = attrs.field(factory=dict)
    coroutines: frozenset[Handler] = frozenset()

    def for_payload(self, payload: object) -> Handler | None:
        """The handler of a payload's class or nearest base; remembered."""
        cls = payload.__class__
        handler = self.by_type.get(cls)
        if handler is None:
            for base in cls.__mro__[1:]:
                handler = self.by_type.get(base)
                if handler is not None:
                    self.by_type[cls] = handler
                    if base in self.typed and cls.__name__ not in self.by_topic:
                        self.typed[cls] = handler
                    break
        return handler


def begin(server: Server, args: tuple[Any, ...]) -> Any:
    """Sets a server up, from the arguments of its spawn or from the code before it."""
    if len(args) == 1 and isinstance(args[0], Migration):
        return server.migrate(args[0].old_version, args[0].state)
    return server.init(*args)


def may_defer(method: object) -> bool:
    """True unless it is plain to see that a method does not call `defer`.

    Code says so by the name, in itself, in what is defined inside it, or in a function that it
    closes over, like the one a decorator has wrapped.
    """
    if not isinstance(method, FunctionType):
        return True
    code = [method.__code__]
    while code:
        one = code.pop()
        if "defer" in one.co_names or "defer" in one.co_consts:
            return True
        code += [const for const in one.co_consts if isinstance(const, CodeType)]
    enclosed = [cell.cell_contents for cell in method.__closure__ or () if _is_set(cell)]
    return any(may_defer(inner) for inner in enclosed if isinstance(inner, FunctionType))


def _is_set(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


class Queue:
    """Unread messages and events in arrival order; one item needs no deque (0.6 KB)."""

    __slots__ = ("_one", "_queue")

    def __init__(self) -> None:
        self._one: Message | Event | None = None  # the only item
        self._queue: deque[Message | Event | Parcel] | None = None  # or several; never empty

    def push(self, item: Message | Event) -> None:
        """Appends."""
        if self._queue is not None:
            self._queue.append(item)
        elif self._one is None:
            self._one = item
        else:
            self._queue = deque((self._one, item))
            self._one = None

    def pop(self) -> Message | Event | None:
        """Takes the oldest; None if there is none."""
        queue = self._queue
        if queue is None:
            item, self._one = self._one, None
            return item
        oldest: Message | Event = unpacked(queue.popleft())
        if not queue:
            self._queue = None
        return oldest

    def __len__(self) -> int:
        return len(self._queue) if self._queue is not None else int(self._one is not None)

    def unread(self) -> Iterable[Message | Event]:
        """What is queued, oldest first; it stays."""
        if self._queue is not None:
            return map(unpacked, self._queue)
        return () if self._one is None else (self._one,)

    def discard(self, item: Message | Event) -> bool:
        """Takes out this very item; False if it is not there."""
        if item is self._one and self._one is not None:
            self._one = None
            return True
        for index, queued in enumerate(self._queue or ()):
            if queued is item:
                assert self._queue is not None
                del self._queue[index]
                self._queue = self._queue or None
                return True
        return False

    def take_all(self) -> list[Message | Event]:
        """Empties it."""
        items = list(self.unread())
        self._one = self._queue = None
        return items


class Serving(Queue):
    """One running server: its object, its queue, and the decision about each item."""

    __slots__ = (
        "awaiting",
        "events",
        "finished",
        "halted",
        "on_take",
        "process",
        "request",
        "server",
        "suspended",
        "table",
        "typed",
    )
    direct = False

    process: Process  # set when the process is made
    route: deque[Any] | None = None  # see Mailbox

    def __init__(self, server: Server, table: HandlerTable) -> None:
        self._one = None  # as Queue's own does, without a call: this is made once per process
        self._queue = None
        self.server: Server | None = server
        self.table = table
        self.typed = table.typed
        self.suspended = False  # by somebody who looks inside
        self.awaiting = False  # by a handler that goes on in a task
        self.halted = False  # no message may be handled now, for one of these or an end
        self.events = 0  # how many of the unread are events
        self.on_take: Callable[[], None] | None = None  # somebody waits for room (bounded.py)
        self.request: Request | Waiter | None = None  # being answered; None once deferred
        self.finished: Exit | None = None  # set by `stop`

    # Mailbox

    def put(self, message: Message) -> bool:
        """Takes a message."""
        self.push(message)
        return True

    def put_event(self, event: Event) -> None:
        """Takes a control event."""
        self.events += 1
        self.push(event)

    def drain(self) -> list[Message | Event]:
        """Everything unread; other code is to get it, so requests become such that can be kept."""
        return [
            Request(item, inf) if isinstance(item, Waiter) else item for item in self.take_all()
        ]

    def depth(self) -> int:
        """How many are unread."""
        return len(self)

    def load(self) -> int:
        """Unread messages; events do not count."""
        return len(self) - self.events

    def oldest(self) -> Message | None:
        """The message that waits longest."""
        queue = self._queue
        if queue is None:
            return self._one if isinstance(self._one, Message) else None
        for index, item in enumerate(queue):
            if not isinstance(item, Event):
                message: Message = unpacked(item)
                queue[index] = message
                return message
        return None

    def unread_since(self) -> float | None:
        """When the message that waits longest began to."""
        return since(self.oldest())

    def close(self) -> None:
        """The process has ended: what is unread is discarded, and who asked is told."""
        if self._one is not None or self._queue is not None or self.request is not None:
            self._tell_callers()
        self._one = self._queue = self.server = self.request = None

    def _tell_callers(self) -> None:
        for item in (self.request, *self.unread()):
            if isinstance(item, Waiter):
                record = self.process.node.exits.get(self.process.pid)
                assert record is not None  # it has just been noted
                item.ended(record.exit)

    def wake(self) -> None:
        """Something is there to be done; how it gets done is the drive's business."""

    def suspend(self) -> None:
        """Handles nothing until `resume`; forced ends still take effect."""
        self.suspended = self.halted = True

    def resume(self) -> None:
        """Handles messages again, if nothing else speaks against it."""
        process = self.process
        if not (self.suspended or self.awaiting):
            self.halted = bool(process.forced or process.upgrade or self.finished)
        self.wake()

    def stop(self, exit: Exit) -> None:
        """Ends with this exit when the handler is done; `Server.stop` does the same by itself."""
        self.finished = exit
        self.halted = True

    # decisions

    def find(self, item: Message | Event) -> tuple[Handler | None, Any]:
        """The handler of an item and what it is called with."""
        if isinstance(item, Event):
            self.events -= 1
            return self.table.by_event.get(item.kind), item
        by_topic = self.table.by_topic.get(item.topic)
        if by_topic is not None:
            return by_topic, item
        payload = item.payload
        handler = self.table.for_payload(payload)
        if handler is not None:
            return handler, payload
        named = self.table.named.get(item.topic)
        if named is not None and isinstance(payload, (dict, list, type(None))):
            from trio_actors._core.plain import from_plain

            return self.table.by_type[named], from_plain(payload, named)
        return None, item

    def unhandled(self, item: Message | Event) -> Any:
        """What happens to an item without a handler: CANCEL stops, a request is refused."""
        assert self.server is not None
        if isinstance(item, Event) and item.kind is EventKind.CANCEL:
            self.stop(Exit())
            return None
        if isinstance(item, (Request, Waiter)):
            from trio_actors._core.hints import hint

            text = f"{self.process.id} has no handler for {item.topic}{hint(self.table, item)}"
            item.fail(make_error(ErrorKind.INVALID, text))
            return None
        return self.server.unhandled(item)

    def defer(self) -> Request:
        """The request being answered, to be answered later; the handler's value is ignored."""
        request, self.request = self.request, None
        if request is None:
            raise make_error(ErrorKind.INVALID, "no request is being answered here")
        if isinstance(request, Waiter):  # by code outside the class: `defers` has not found it
            self.table.typed.clear()
            return Request(request, inf)
        return request

    def answer(self, item: Message | Event, value: Any) -> None:
        """The handler is done: its value is the reply, unless it deferred that."""
        request, self.request = self.request, None
        if request is not None and request is item:
            request.reply(value)

    def drop(self) -> None:
        """The request in hand, if there is one, gets no answer."""
        request, self.request = self.request, None
        if isinstance(request, Waiter):
            request.dropped()

    def refuse(self, error: ProcessError) -> bool:
        """A handler raised a ProcessError: the reply if a request is being answered."""
        request, self.request = self.request, None
        return request is not None and (request.fail(error) or True)

    @disable_ki_protection
    def farewell(self, exit: Exit) -> Any:
        """Calls the server's `terminate(exit)`; what it raises is logged, never reported.

        A server that never began has nothing to clean up.
        """
        server = self.server
        if server is None or not self.table.parting or self.process.state is READY:
            return None
        try:
            return server.terminate(exit)
        except (Exception, KeyboardInterrupt, SystemExit, BaseExceptionGroup) as exc:
            if not self.parted(exc):
                raise
        return None

    def parted(self, exc: BaseException) -> bool:
        """What `terminate` has raised is reported here; False if it must go on outwards (E38)."""
        if stops_the_host(self.process, exc):
            return True
        if isinstance(exc, Exception) and not any(isinstance(p, FATAL) for p in leaves(exc)):
            self.log("terminate raised")
            return True
        return False

    def log(self, what: str) -> None:
        """Reports the exception being handled, once."""
        logger.exception(
            "server %s (%s) %s",
            self.process.pid,
            self.process.id,
            what,
            extra={"pid": self.process.pid, "entry": self.process.id},
        )
