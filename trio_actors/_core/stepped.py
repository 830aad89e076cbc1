"""Servers with plain handlers: body, mailbox and drive in one object, stepped by a dispatcher.

The theory: a turn handles what one server has unread when it begins, at most TURN messages, so that
nobody who sends to himself outruns his receivers. A forced end takes effect between two messages
(TM2). `scheduled` says that the server stands in the dispatcher's queue, or must not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterator
from math import inf
from sys import getrefcount
from types import FrameType
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from trio_actors._core.ask import Request, Waiter
from trio_actors._core.context import make_context
from trio_actors._core.current import running
from trio_actors._core.dispatch import TURN, Dispatcher, Waiting
from trio_actors._core.ending import Ending
from trio_actors._core.errors import ProcessError
from trio_actors._core.lifecycle import BEGIN
from trio_actors._core.message import Event, Message, Sent
from trio_actors._core.pace import EVERY_TINY
from trio_actors._core.serving import HandlerTable, Queue, begin
from trio_actors._core.wake import GO

if TYPE_CHECKING:
    from trio_actors._core.process import Process
    from trio_actors.server import Server, ServerTarget

DOWN = [range(count - 1, -1, -1) for count in range(EVERY_TINY + 1)]  # to count without subtracting


def _alone() -> int:
    message = Sent()
    return getrefcount(message)


ALONE = _alone()  # what `getrefcount` says of an object that nobody but the caller holds


class Stepped(Ending):
    """Body, mailbox and drive of one plain server; made by `make_stepped`."""

    __slots__ = ("_args", "_begun", "counted", "hand", "route")

    _args: tuple[Any, ...]
    _begun: bool

    # Body

    def make_mailbox(self, process: Process) -> Stepped:
        """Its mailbox is its drive as well."""
        self.process = process
        self.hand = process.node.hand
        self._dispatcher = Dispatcher.of(process.host)
        return self

    def attach(self, process: Process) -> Stepped:
        """Stepped by the host's dispatcher."""
        return self

    # Mailbox

    @enable_ki_protection
    def put(self, message: Message) -> bool:
        """Takes a message and sees that it will be handled."""
        queue = self._queue
        if queue is None and self._one is not None:
            queue = self._queue = deque((self._one,))
            self._one = None
        if queue is not None:  # push, written out
            queue.append(message)
            self.counted += 1
            if self.route is None and not (self.halted or self._busy):
                self.open_route()
                hand = self.hand
                message.at = hand.at = hand.stamp()
                return False
            return True
        self._one = message
        if self._scheduled:
            return True  # it is busy with another one
        self._scheduled = True
        dispatcher = self._dispatcher
        dispatcher.ready.append(self)
        if dispatcher.parked is not None:
            dispatcher.unpark()
        return self.halted  # else it is next

    @enable_ki_protection
    def put_event(self, event: Event) -> None:
        """Takes a control event."""
        self.events += 1
        self.close_route()
        self.push(event)
        self.wake()

    def push(self, item: Message | Event) -> None:
        """Appends."""
        Queue.push(self, item)  # `super()` takes as long as all of it
        self.counted += 1

    @enable_ki_protection
    def open_route(self) -> None:
        """The server stands in the dispatcher's queue: until its turn, append."""
        if self._queue is not None:
            self.route = self._queue
            self.counted = len(self.route)

    def discard(self, item: Message | Event) -> bool:
        """Takes out this very item; False if it is not there."""
        self.close_route()
        return super().discard(item)

    def take_all(self) -> list[Message | Event]:
        """Empties it."""
        self.close_route()
        return super().take_all()

    def suspend(self) -> None:
        """Handles nothing until `resume`: from now on messages wait."""
        self.close_route()
        super().suspend()

    def close(self) -> None:
        """The process has ended: what is unread is discarded, a turn that is due does nothing."""
        self._begun = self.halted = True
        if self._one is not None or self._queue is not None or self.request is not None:
            self.close_route()
            self._tell_callers()
            self._one = self._queue = self.request = None
        self.server = None

    @enable_ki_protection
    def wake(self) -> None:
        """Sees that the dispatcher looks at it."""
        if not self._scheduled:
            self._scheduled = True
            self._dispatcher.add(self)

    # Drive

    @enable_ki_protection
    def start(self) -> None:
        """Puts the server into the dispatcher's queue; `init` runs in its first turn."""
        dispatcher = self._dispatcher
        dispatcher.ready.append(self)
        if dispatcher.parked is not None:
            dispatcher.unpark()

    @enable_ki_protection
    def interrupt(self) -> None:
        """Sees that the forced end or upgrade is carried out between two messages."""
        self.halted = True
        if not self._busy:
            self.wake()

    def doing(self) -> str:
        """`idle` or `running`."""
        return "suspended" if self.suspended else "running" if len(self) else "idle"

    def line(self) -> str | None:
        """It waits in Trio tasks, or not at all."""
        return None

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """Plain handlers do not wait."""
        return iter(())

    # stepping

    @disable_ki_protection
    def turn(self) -> Waiting | None:
        """Handles what is unread now, at most TURN messages, or until a checkpoint is due."""
        if self.route is not None:
            self.close_route()
        if (self.halted or not self._opened) and self._turn_without_messages():
            return None
        self._busy = True
        try:
            queue = self._queue
            if queue is not None:
                self._take_queued(queue)
            else:
                self._dispatcher.pace.left -= 1
                item, self._one = self._one, None
                if item is not None:
                    self._take(item)
        except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
            self._end(None, exc)
            return None  # noqa: ASYNC104
        finally:
            self._busy = False
        if self.halted and (self.finished is not None or self._over()):
            self._dispatcher.pace.left -= 1  # an end takes as long as a message
            self._end(self.finished, None)
        elif not self.halted and (self._queue is not None or self._one is not None):
            self.open_route()
            self._dispatcher.ready.append(self)
        else:
            self._scheduled = False
        return None

    def _take_queued(self, queue: deque[Any]) -> None:
        """Handles one after the other, as long as it may: `pace.left`, and one, between looks."""
        pace = self._dispatcher.pace
        left = pace.left
        server = self.server
        by_topic = self.table.by_topic
        by_type = self.table.by_type
        topic: Any = None
        handler: Any = None
        message: Any = None
        value: Any
        rest = min(len(queue), TURN)
        undone = 0
        try:
            while rest > 0:
                if left < 0:
                    more = pace.look()
                    left = pace.left
                    if not more:
                        break
                count = left + 1 if left < rest else rest
                left -= count
                for undone in DOWN[count]:
                    if self.halted:
                        undone += 1
                        rest = 0
                        break
                    try:
                        item = queue.popleft()
                    except IndexError:  # its limit has dropped the rest
                        undone += 1
                        rest = 0
                        break
                    if item.__class__ is tuple:  # a Parcel
                        if getrefcount(message) != ALONE:  # else nobody has kept the one before
                            message = Sent()
                        # Local variables, and two ways on: 10 % less than the fewest lines.
                        name, message.sender, payload, _ = item
                        message.topic = name
                        message.payload = payload
                        if name is not topic:  # often the same as before
                            topic = name
                            handler = by_topic.get(name)
                        if handler is not None:
                            value = handler(server, message)
                            if value is None:
                                continue
                        elif (typed := by_type.get(payload.__class__)) is not None:
                            value = typed(server, payload)
                        else:
                            self._handle(message)
                            continue
                        if value is not None and hasattr(value, "__await__"):
                            self._await(message, value)
                    else:
                        self._take(item)
                rest -= count - undone
                left += undone
                undone = 0
        finally:
            pace.left = left + undone
        if not queue and self._queue is queue:
            self._queue = None

    def _take(self, item: Any) -> None:
        """Handles one."""
        if item.__class__ is not Sent or self.on_take is not None:
            self._handle(item)
            return
        table = self.table
        handler = table.by_topic.get(item.topic)
        if handler is not None:
            value = handler(self.server, item)
        elif (handler := table.by_type.get(item.payload.__class__)) is not None:
            value = handler(self.server, item.payload)
        else:
            self._handle(item)
            return
        if value is not None and hasattr(value, "__await__"):
            self._await(item, value)

    def _turn_without_messages(self) -> bool:
        """The beginning, an end that was decided, an interruption: True if that is all for now."""
        if not self._begun:
            self._dispatcher.pace.left -= 1
            self._busy = self._begun = True
            try:
                if self.process.forced is None:
                    self._begin()
            except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
                self._end(None, exc)
                return True  # noqa: ASYNC104
            finally:
                self._busy = False
        if self.turned():
            return True
        self._open()
        return False

    def turned(self) -> bool:
        """Without messages: an end that was decided, an interruption; False if some are unread."""
        if self.halted:
            process = self.process
            end = process.forced or self.finished
            if end is None and not self._over():
                self._scheduled = False
                return True
            self._dispatcher.pace.left -= 1  # it takes as long as a message
            usual = process.rare is None and process.upgrade is None and process.drive is self
            if end is not None and usual:
                self.end(end)  # as `_end` would
            else:
                self._end(self.finished, None)
            return True
        if self._one is None and self._queue is None:
            self._scheduled = False
            return True
        return False

    def _begin(self) -> None:
        process = self.process
        process.step(BEGIN)
        args, self._args = self._args, ()
        server = self.server
        if args or self.table.starting:
            assert server is not None
            server.ctx = process.view = process.view or make_context(process)
            self._opened = True
            if args:
                begin(server, args)
            else:
                server.init()
        if process.rare is not None and process.readiness is not None:
            process.readiness(None)

    def _open(self) -> None:
        """The first code of the server comes: it gets its context, and is made if it was not."""
        if not self._opened and not self.process.ended:
            self._opened = True
            server = self.server
            if server is None:
                target: ServerTarget = self.process.target  # type: ignore[assignment]
                self.server = server = target.new()
                server._serving = self
            server.ctx = self.process.context

    def _handle(self, item: Message | Event) -> None:
        """Everything that is not a plain message with a known handler: requests, events, data."""
        if self.on_take is not None:
            self.on_take()
        if item.__class__ is Waiter:  # written out: most asks by mailbox come through here
            if not item.pending:
                return
            self.request = item
            payload = item.payload
            try:
                value = self.table.by_type[payload.__class__](self.server, payload)
            except ProcessError as error:
                if not self.refuse(error):
                    raise
                return
            if value is not None and hasattr(value, "__await__"):
                self._await(item, value)
            elif self.request is item:  # not deferred
                self.request = None
                if item.task.custom_sleep_data is item:  # settle, written out
                    item.answer = value
                    trio.lowlevel.reschedule(item.task, GO)
            return
        if isinstance(item, (Request, Waiter)):
            if not item.wanted:
                return
            self.request = item
        try:
            handler, argument = self.find(item)
            value = handler(self.server, argument) if handler else self.unhandled(item)
        except ProcessError as error:
            if not self.refuse(error):
                raise
            return
        if value is not None and hasattr(value, "__await__"):
            self._await(item, value)
        elif self.request is not None:
            self.answer(item, value)

    def _await(self, item: Message | Event, awaitable: Awaitable[Any]) -> None:
        """A handler turned out to await after all: a task of the process goes on with it.

        No other message is handled meanwhile, as in a server that has its task from the start.
        """
        request, self.request = self.request, None
        if isinstance(request, Waiter):
            request = Request(request, inf)
        self.awaiting = self.halted = True
        self.process.context.start_task(self._finish, item, request, awaitable)

    async def _finish(
        self, item: Message | Event, request: Request | None, awaitable: Awaitable[Any]
    ) -> None:
        running.set(self.process.context)
        try:
            value = await awaitable
        except ProcessError as error:
            if request is None:
                raise
            request.fail(error)
        else:
            if request is not None:
                request.reply(value)
        self.awaiting = False
        self.resume()


def make_stepped(
    server: Server | None, table: HandlerTable, args: tuple[Any, ...], kind: type[Stepped] = Stepped
) -> Stepped:
    """A server that has not begun; a function for the reason of `make_process`."""
    stepped = kind.__new__(kind)
    stepped.server = server
    stepped.table = table
    stepped.typed = table.typed
    stepped.events = stepped.counted = 0
    stepped.suspended = stepped.awaiting = stepped.halted = False
    stepped.on_take = stepped.request = stepped.finished = stepped._one = stepped._queue = None
    stepped.route = None
    stepped._args = args
    stepped._begun = stepped._opened = stepped._busy = False
    stepped._scheduled = True
    stepped._timer = stepped._context = stepped._direct = stepped._deferred = None
    return stepped
