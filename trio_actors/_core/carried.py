"""Servers with async handlers: stepped like those with plain ones, with a task once they wait.

The theory: the whole life of the server is one coroutine. The dispatcher goes on with it when there
is something to do, and it yields IDLE when there is not. If it yields anything else, it waits for
something in Trio: from then on the carrier (dispatch.py) is the task of this server, until its end.
So all that waits runs in one task, and scopes, nurseries and locks are what they are in any task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Coroutine, Iterator
from contextvars import Context, copy_context
from math import inf
from sys import getrefcount
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import (
    checkpoint,
    current_task,
    disable_ki_protection,
    enable_ki_protection,
    reschedule,
)

from trio_actors._core.ask import Request, Waiter
from trio_actors._core.carrier import SIGHT, Carrier
from trio_actors._core.copying import Copying
from trio_actors._core.current import running
from trio_actors._core.dispatch import TURN, Waiting
from trio_actors._core.drive import DECLINED
from trio_actors._core.errors import ProcessError
from trio_actors._core.exit import Exit
from trio_actors._core.held import NEXT_TURN, Home, frames_of
from trio_actors._core.lifecycle import BEGIN
from trio_actors._core.message import Sent
from trio_actors._core.pace import Pace
from trio_actors._core.serving import begin
from trio_actors._core.stepped import ALONE, DOWN, Stepped
from trio_actors._core.task import judge, stops_the_host, unwound
from trio_actors._core.wake import GO, IDLE, sleep

if TYPE_CHECKING:
    from trio_actors._core.process import Process

GRACE = 5.0  # seconds for an async `terminate`


class Carried(Stepped, Waiting):
    """Body, mailbox and drive of one server with async handlers."""

    __slots__ = ("_home", "carrier", "code", "context", "ending", "trap")
    direct = False
    _home: Home | None  # what stands in for the dispatcher once it has a task of its own

    def make_mailbox(self, process: Process) -> Stepped:
        """Its mailbox is its drive as well."""
        self.code = self.carrier = self.trap = self._home = None
        self.ending = False
        return super().make_mailbox(process)

    # Drive

    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """Never: a handler that waits would do so in its caller's task."""
        return DECLINED

    def start(self) -> None:
        """Its code will see the context variables of whoever starts it, as a task does."""
        self.context = copy_context()
        super().start()

    @enable_ki_protection
    def interrupt(self) -> None:
        """A handler that waits is cancelled; else it ends, or is upgraded, in a turn."""
        self.halted = True
        if self.carrier is not None:
            self.cancel()
        elif not self._busy:
            self.wake()

    def limit(self, deadline: float) -> None:
        """Its code sees the deadline too, in its own turn already."""
        super().limit(deadline)
        carrier = self.carrier
        if carrier is None and self._busy:
            carrier = self._dispatcher.carrier
        if carrier is not None:
            carrier.scope.deadline = deadline

    def doing(self) -> str:
        """As a plain server; `blocked` while a handler waits."""
        return "blocked" if self.carrier is not None and self._busy else super().doing()

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """Where a handler waits, outermost first."""
        return frames_of(self.code) if self.carrier is not None else iter(())

    # stepping

    @enable_ki_protection
    def turn(self) -> Waiting | None:
        """Handles what is unread now, at most TURN messages, or until a checkpoint is due."""
        if self.server is None:  # given up meanwhile
            return None
        if self.route is not None:
            self.close_route()
        self._busy = True
        process = self.process
        carrier: Carrier = self._dispatcher.carrier
        if process.rare is not None:
            carrier.limit(process)
        code = self.code
        if code is None:
            code = self.code = self._live()
        try:
            trap = self.context.run(code.send, None)
        except StopIteration:
            trap = IDLE
        if trap is not IDLE:
            self.trap = trap
            return self
        if process.rare is not None:  # it may have got a deadline in its turn
            carrier.scope.deadline = inf
        return None

    @disable_ki_protection
    async def _live(self) -> None:
        """The whole life of the server; idle between turns."""
        try:
            await self._begin_code()
            by_type = self.table.by_type
            by_topic = self.table.by_topic
            coroutines = self.table.coroutines
            while True:
                one: Any = self._one
                if one is not None and not self.halted:
                    self._one = None
                    self._dispatcher.pace.left -= 1
                    if (
                        one.__class__ is Waiter
                        and one.task.custom_sleep_data is one  # it is still wanted
                        and self.on_take is None
                    ):
                        self.request = one  # `_handle_one`, written out: the loop of most asks
                        try:
                            value = by_type[one.payload.__class__](self.server, one.payload)
                            if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                                value = await value
                        except ProcessError as error:
                            if not self.refuse(error):
                                raise
                        else:
                            if self.request is not None:
                                self.request = None
                                task = one.task
                                if task.custom_sleep_data is one:
                                    one.answer = value
                                    reschedule(task, GO)
                            del value
                    elif (
                        one.__class__ is Sent
                        and self.on_take is None
                        and (handler := by_topic.get(one.topic)) in coroutines
                    ):
                        await handler(self.server, one)  # the same, for most messages
                    else:
                        await self._handle_one(one)
                    del one  # it is not kept alive while the server is idle
                elif self._queue is not None and not self.halted:
                    await self._handle_queued(self._queue)
                if self._home is None:
                    carrier = self._dispatcher.carrier  # untied, written out
                    if (
                        self.carrier is not None
                        or SIGHT.innermost(carrier.task) is not carrier.innermost
                        or getrefcount(carrier.task) > carrier.references
                    ):
                        self._dispatcher = self._home = Home(self.hand)  # it needs a task now
                if self.halted and (self.finished is not None or self._over()):
                    break
                if self._home is not None:
                    await self._rest(self._home)
                    continue
                self._busy = False
                if (self._queue is None and self._one is None) or self.halted:
                    self._scheduled = False
                else:
                    self.open_route()
                    self._dispatcher.add(self)
                try:
                    await NEXT_TURN
                except GeneratorExit:  # its end came from outside
                    return
        except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
            if self.carrier is not None:
                raise
            self.ending = True
            await self.end_code(None, exc)  # noqa: ASYNC102  nothing was cancelled yet
        else:
            if self.carrier is None:
                self.ending = True
                await self.end_code(None, None)

    async def _begin_code(self) -> None:
        process = self.process
        running.set(process.context)
        self._dispatcher.pace.left -= 1
        if process.forced is None:
            process.step(BEGIN)
            self._open()
            args, self._args = self._args, ()
            assert self.server is not None
            await _maybe(begin(self.server, args))
            if process.rare is not None and process.readiness is not None:
                process.readiness(None)

    async def _rest(self, home: Home) -> None:
        """In its own task: a checkpoint if one is due, else it waits until something is unread."""
        pace = home.pace
        if not self.halted and (self._queue is not None or self._one is not None):
            if pace.left < 0 and not pace.look():
                self.hand.look()
                self.open_route()
                try:
                    await checkpoint()
                finally:
                    self.close_route()
                pace.go_on()
            return
        self._busy = self._scheduled = False
        home.park(current_task())
        try:
            await sleep()
        finally:
            home.parked = None  # also if it was cancelled
        self._busy = True
        if self.route is not None:
            self.close_route()
        pace.renew()

    async def _handle_queued(self, queue: deque[Any]) -> None:
        """As `Stepped._take_queued`; of a stepped server until a handler waits."""
        stepped = self.carrier is None
        pace = self._dispatcher.pace
        left = pace.left
        server = self.server
        by_topic = self.table.by_topic
        coroutines = self.table.coroutines
        topic: Any = None
        handler: Any = None
        awaited = False
        message: Any = None
        rest = min(len(queue), TURN)
        while rest > 0:
            if left < 0:
                more = pace.look()
                left = pace.left
                if not more:
                    break
            count = left + 1 if left < rest else rest
            left -= count
            rest -= count
            for undone in DOWN[count]:
                if self.halted:
                    left += undone + 1
                    rest = 0
                    break
                try:
                    item = queue.popleft()
                except IndexError:  # its limit has dropped the rest
                    left += undone + 1
                    rest = 0
                    break
                kind = item.__class__
                if kind is tuple or (kind is Sent and self.on_take is None):
                    if kind is Sent:
                        message = item
                        name = message.topic
                        payload = message.payload
                    else:  # a Parcel
                        if getrefcount(message) != ALONE:  # else nobody has kept the one before
                            message = Sent()
                        name, message.sender, payload, _ = item
                        message.topic = name
                        message.payload = payload
                    if name is not topic:  # often the same as before
                        topic = name
                        handler = by_topic.get(name)
                        awaited = handler in coroutines
                    if awaited:
                        await handler(server, message)
                    elif handler is None:
                        await self._handle_one(message)
                    else:
                        value = handler(server, message)
                        if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                            await value
                else:
                    await self._handle_one(item)
                if stepped and self.carrier is not None:  # that was the dispatcher's pace
                    rest = 0
                    break
        if not stepped or self.carrier is None:
            pace.left = left
        if not queue and self._queue is queue:
            self._queue = None

    async def _handle_one(self, item: Any) -> None:
        """Runs the handler of one item and gives the reply."""
        if self.on_take is not None:
            self.on_take()
        kind = item.__class__
        handler: Any
        if kind is Waiter:  # written out: most asks come through here
            if not item.pending:
                return
            self.request = item
            argument = item.payload
            handler = self.table.by_type[argument.__class__]
        elif kind is not Sent and isinstance(item, (Request, Waiter)):
            if not item.wanted:
                return
            self.request = item
            handler, argument = self.find(item)
        else:
            handler, argument = self.find(item)
        try:
            value = self.unhandled(item) if handler is None else handler(self.server, argument)
            if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                value = await value
        except ProcessError as error:
            if not self.refuse(error):
                raise
        else:
            if self.request is None:  # no request, or deferred
                return
            if kind is not Waiter:
                self.answer(item, value)
                return
            self.request = None
            if item.task.custom_sleep_data is item:  # settle, written out
                item.answer = value
                reschedule(item.task, GO)

    # the end

    @disable_ki_protection
    async def end_code(self, value: Any, error: BaseException | None) -> None:
        """As `Ending._end`, awaiting what there is to be awaited."""
        process = self.process
        if process.rare is not None:
            error = await unwound(process, error)
        end, outwards = judge(process, None, error)
        del error
        given_up = process.ended
        if end is None and not given_up:
            self.drop()  # the request in hand
            end = self._upgrade()
            if end is None:
                return
        elif end is not None and self.finished is not None and not end.abnormal:
            end = self.finished
        if outwards is not None and stops_the_host(process, outwards):
            outwards = None
        if end is not None and not given_up:
            await self._part(end)
        if end is not None and not process.ended:
            self.leave(process.forced or end)
        if outwards is not None:
            try:
                raise outwards
            finally:
                del outwards  # this frame is in its traceback: a cycle

    async def _part(self, end: Exit) -> None:
        """The server's own `terminate`, which gets GRACE seconds whatever happens."""
        if self.table.parting:
            self._open()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + GRACE):
                try:
                    await _maybe(self.farewell(end))
                except (Exception, KeyboardInterrupt, SystemExit, BaseExceptionGroup) as exc:
                    if not self.parted(exc):
                        raise

    def close(self) -> None:
        """Its code is let go of: it ends where it is idle, if it is not this that runs."""
        self.code = None
        super().close()

    def cut(self, end: Exit) -> tuple[Context, Coroutine[Any, Any, None]] | None:
        """Its `terminate` may await. A handler that waits is cancelled in its own task."""
        if self._busy or self.carrier is not None:  # that, or it is being cut already
            return None
        if not self.table.parting or self.code is None:
            self.leave(end)
            return None
        self._busy = self._scheduled = True
        return self.context, self._cut(end)

    async def _cut(self, end: Exit) -> None:
        await self._part(end)
        if not self.process.ended:
            self.leave(end)


class CopyingCarried(Copying, Carried):
    """On a host that copies (M26): requests are copied too."""

    __slots__ = ()

    def make_mailbox(self, process: Process) -> Stepped:
        """Itself."""
        self.typed = {}
        return super().make_mailbox(process)


async def _maybe(value: Any) -> Any:
    if isinstance(value, Awaitable):
        return await value
    return value
