"""Servers with async handlers: stepped like those with plain ones, with a task while they wait.

The theory: each turn is a coroutine that the dispatcher begins. Mostly it ends without having
waited for anything, and no task was needed. If it waits, its carrier is the task of the process
until all that is unread has been handled (dispatch.py): so a handler runs in one task from its
first to its last line, and scopes, nurseries and locks are what they are in any task.
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
from trio.lowlevel import checkpoint, reschedule

from trio_actors._core.ask import PENDING, Request, Waiter
from trio_actors._core.copying import Copying
from trio_actors._core.current import running
from trio_actors._core.dispatch import IDLE, Held, Waiting, idle
from trio_actors._core.drive import DECLINED
from trio_actors._core.errors import ProcessError
from trio_actors._core.exit import Exit
from trio_actors._core.lifecycle import BEGIN
from trio_actors._core.message import Sent
from trio_actors._core.pace import Pace
from trio_actors._core.serving import begin
from trio_actors._core.stepped import ALONE, TURN, Stepped
from trio_actors._core.subscription import BUDGET
from trio_actors._core.task import judge, stops_the_host
from trio_actors._core.wake import GO

if TYPE_CHECKING:
    from trio_actors._core.process import Process

GRACE = 5.0  # seconds for an async `terminate`


class Carried(Stepped, Waiting):
    """Body, mailbox and drive of one server with async handlers."""

    __slots__ = ("_code", "_held")
    direct = False
    _context: Context  # of all its code; a plain server makes one when it needs it
    _code: Coroutine[Any, Any, None] | None  # from the first turn on
    _held: Held | None  # the same, while it waits

    def make_mailbox(self, process: Process) -> Stepped:
        """Its mailbox is its drive as well."""
        self._code = self._held = None
        return super().make_mailbox(process)

    # Drive

    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """Never: a handler that waits would do so in its caller's task."""
        return DECLINED

    def start(self) -> None:
        """Its code will see the context variables of whoever starts it, as a task does."""
        self._context = copy_context()
        super().start()

    def interrupt(self) -> None:
        """A handler that waits is cancelled; else it ends, or is upgraded, in a turn."""
        self.halted = True
        if self._held is not None:
            self._held.cancel()
        elif not self._busy:
            self.wake()

    def limit(self, deadline: float) -> None:
        """A handler that waits sees the deadline too."""
        super().limit(deadline)
        if self._held is not None:
            self._held.carrier.scope.deadline = deadline

    def doing(self) -> str:
        """As a plain server; `blocked` while a handler waits."""
        return "blocked" if self._held is not None else super().doing()

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """Where a handler waits, outermost first."""
        return self._held.frames() if self._held is not None else iter(())

    # stepping

    def turn(self) -> Held | None:
        """Handles what is unread now, at most TURN messages, or until a checkpoint is due."""
        if self.server is None:  # given up meanwhile
            return None
        if self.route is not None:
            self.close_route()
        self._busy = True
        if self.process.rare is not None:
            return self._turn_by(self.process.deadline)
        return self._go_on()

    def _turn_by(self, deadline: float) -> Held | None:
        """A turn in which the code sees when it has to end."""
        scope = self._dispatcher.scope
        assert scope is not None
        scope.deadline = deadline
        held = self._go_on()
        if held is None:
            scope.deadline = inf
        return held

    def _go_on(self) -> Held | None:
        code = self._code
        if code is None:
            code = self._code = self._live()
        try:
            trap = self._context.run(code.send, None)
        except StopIteration:
            return None
        if trap is IDLE:
            return None
        self._held = held = Held(self, code, self._context, trap)
        return held

    async def _live(self) -> None:
        """The whole life of the server; idle between turns."""
        try:
            await self._begin_code()
            pace = self._dispatcher.pace
            by_type = self.table.by_type
            while True:
                one: Any = self._one
                if one is not None and not self.halted:
                    self._one = None
                    pace.left -= 1
                    if one.__class__ is Waiter and one.answer is PENDING and not self.on_take:
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
                                if one.answer is PENDING:
                                    one.answer = value
                                    reschedule(one.task, GO)
                            del value
                    else:
                        await self._handle_one(one)
                    del one  # it is not kept alive while the server is idle
                elif self._queue is not None and not self.halted:
                    await self._handle_queued(self._queue)
                if self._held is not None:
                    await self._handle_all()
                self._busy = False
                if self.halted:
                    if self.finished is not None or self._over():
                        break
                    self._scheduled = False
                elif self._queue is not None or self._one is not None:
                    self.open_route()
                    self._dispatcher.add(self)
                else:
                    self._scheduled = False
                self._held = None
                await idle()
        except GeneratorExit:  # its end came from outside
            raise
        except BaseException as exc:
            if self._held is not None:
                raise  # see Held.end
            await self.end_code(exc)
        else:
            await self.end_code(None)

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

    async def _handle_all(self) -> None:
        """In a task of its own, after something was waited for: until nothing is unread."""
        pace = Pace(BUDGET, self.hand)
        pace.renew()
        item: Any
        while not self.halted and (item := self.pop()) is not None:
            await self._handle_one(item)
            if not pace.take():
                await checkpoint()
                pace.renew()

    async def _handle_queued(self, queue: deque[Any]) -> None:
        """One after the other, as long as it may and nothing is waited for."""
        pace = self._dispatcher.pace
        left = pace.left
        server = self.server
        by_topic = self.table.by_topic
        topic: Any = None
        handler: Any = None
        message: Any = None
        for _ in range(min(len(queue), TURN)):
            if self.halted or not queue:  # empty: its limit has dropped the rest
                break
            item = queue.popleft()
            if item.__class__ is tuple:  # a Parcel
                if getrefcount(message) != ALONE:  # else nobody has kept the one before
                    message = Sent()
                message.topic, message.sender, message.payload, message.at = item
                if item[0] is not topic:  # often the same as before
                    topic = item[0]
                    handler = by_topic.get(topic)
                if handler is not None:
                    value = handler(server, message)
                    if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                        await value
                else:
                    await self._handle_one(message)
            else:
                await self._handle_one(item)
            if self._held is not None:  # the dispatcher is doing something else
                break
            left -= 1
            if left < 0:
                more = pace.look()
                left = pace.left
                if not more:
                    break
        if self._held is None:
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
            if item.answer is not PENDING:
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
            if item.answer is PENDING:  # settle, written out
                item.answer = value
                reschedule(item.task, GO)

    # the end

    async def end_code(self, error: BaseException | None) -> None:
        """As `Ending._end`, awaiting what there is to be awaited."""
        process = self.process
        if process.rare is not None:
            if process.calls is not None:
                await process.calls.finish()
            if process.tasks is not None:
                failed = await process.tasks.finish()
                error = failed if error is None else error
        end, outwards = judge(process, None, error)
        del error
        given_up = process.ended
        if end is None and not given_up:
            self.drop()  # the request in hand
            end = self._upgrade()
            if end is None:
                self._held = None
                return
        elif end is not None and self.finished is not None and not end.abnormal:
            end = self.finished
        if outwards is not None and stops_the_host(process, outwards):
            outwards = None
        if end is not None and not given_up:
            await self._part(end)
        self._held = None
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
                except Exception:
                    self.log("terminate raised")
                except (KeyboardInterrupt, SystemExit, BaseExceptionGroup) as exc:  # E38
                    if not stops_the_host(self.process, exc):
                        raise

    def close(self) -> None:
        """Its code is let go of: it ends where it is idle, if it is not this that runs."""
        self._code = None
        super().close()

    def cut(self, end: Exit) -> tuple[Context, Coroutine[Any, Any, None]] | None:
        """Its `terminate` may await. A handler that waits is cancelled in its own task."""
        if self._busy:  # that, or it is being cut already
            return None
        if not self.table.parting or self._code is None:
            self.leave(end)
            return None
        self._busy = self._scheduled = True
        return self._context, self._cut(end)

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
