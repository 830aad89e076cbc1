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

from trio_actors._core.ask import PENDING, Request, Waiter
from trio_actors._core.copying import Copying
from trio_actors._core.current import running
from trio_actors._core.dispatch import Held, Waiting, resume
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

    __slots__ = ("_held",)
    direct = False
    _context: Context  # of all its code; a plain server makes one when it needs it
    _held: Held | None  # its code, while that waits

    # Drive

    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """Never: a handler that waits would do so in its caller's task."""
        return DECLINED

    def start(self) -> None:
        """Its code will see the context variables of whoever starts it, as a task does."""
        self._context = copy_context()
        self._held = None
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
        """Handles what is unread now, at most TURN messages, or until a checkpoint is due.

        A single message is handled without a coroutine of this class, unless its handler waits.
        """
        if self.route is not None:
            self.close_route()
        self._busy = True
        if self.process.rare is not None:
            return self._turn_by(self.process.deadline)
        item: Any = self._one  # read once
        if item is None or self.halted or not self._begun or self.on_take is not None:
            return self._run(self._work())
        self._one = None
        argument = item.payload
        handler: Any = None
        if item.__class__ is Waiter:
            if item.answer is PENDING:
                self.request = item
                handler = self.table.by_type[argument.__class__]
        elif item.__class__ is Sent:
            handler = self.table.by_topic.get(item.topic)
            if handler is not None:
                argument = item
            else:
                handler = self.table.by_type.get(argument.__class__)
        if handler is None:
            return self._run(self._work(item))
        self._dispatcher.pace.left -= 1
        run = self._context.run
        try:
            value = run(handler, self.server, argument)
            if value.__class__ is CoroutineType:
                try:
                    trap = run(value.send, None)
                except StopIteration as stop:
                    value = stop.value
                else:
                    return self._run(self._work(item, resume(value, trap)))
            elif hasattr(value, "__await__"):
                return self._run(self._work(item, value))
        except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
            if not (isinstance(exc, ProcessError) and self.refuse(exc)):
                return self._run(self.end_code(exc))  # noqa: ASYNC104
        else:
            if self.request is not None:  # `_reply` and `settle`, written out
                self.request = None
                if item.answer is PENDING:
                    item.answer = value
                    trio.lowlevel.reschedule(item.task, GO)
        if self.halted or self._one is not None or self._queue is not None:
            if self.halted and (self.finished is not None or self._over()):
                return self._run(self.end_code(None))
            self._settle()
            return None
        self._busy = self._scheduled = False  # as `_settle` would
        return None

    def _turn_by(self, deadline: float) -> Held | None:
        """A turn in which the code sees when it has to end."""
        scope = self._dispatcher.scope
        assert scope is not None
        scope.deadline = deadline
        held = self._run(self._work())
        if held is None:
            scope.deadline = inf
        return held

    def _run(self, code: Coroutine[Any, Any, None]) -> Held | None:
        try:
            trap = self._context.run(code.send, None)
        except StopIteration:
            return None
        self._held = held = Held(self, code, self._context, trap)
        return held

    async def _work(self, item: Any = None, rest: Awaitable[Any] | None = None) -> None:
        """One turn, and what follows if it waits: then all that comes until nothing is unread.

        First comes `item`, or the `rest` of what its handler has begun.
        """
        try:
            if not self._begun:
                await self._begin_code()
            if item is not None:
                await self._handle_one(item, rest)
            if not self.halted:
                await self._handle_unread()
        except BaseException as exc:
            if self._held is not None:
                raise  # see Held.end
            await self.end_code(exc)
            return
        if self.halted and (self.finished is not None or self._over()):
            await self.end_code(None)
            return
        self._held = None
        self._settle()

    def _settle(self) -> None:
        """Stands in the queue again if there is more to do."""
        self._busy = False
        if not self.halted and (self._queue is not None or self._one is not None):
            self.open_route()
            self._dispatcher.add(self)
        else:
            self._scheduled = False

    async def _begin_code(self) -> None:
        self._begun = True
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

    async def _handle_unread(self) -> None:
        """In the dispatcher's turn at first; in its own time once something was waited for."""
        if self._held is None and self._queue is not None:
            await self._handle_queued(self._queue)
        if self._held is None:
            return
        pace = Pace(BUDGET, self.hand)
        pace.renew()
        while not self.halted and (item := self.pop()) is not None:
            await self._handle_one(item)
            if not pace.take():
                await trio.lowlevel.checkpoint()
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

    async def _handle_one(self, item: Any, rest: Awaitable[Any] | None = None) -> None:
        """Runs the handler of one item, or the rest of it, and gives the reply."""
        try:
            if rest is not None:
                value = await rest
            else:
                if self.on_take is not None:
                    self.on_take()
                if item.__class__ is Waiter:  # as most asks are
                    if item.answer is not PENDING:
                        return
                    self.request = item
                    value = self.table.by_type[item.payload.__class__](self.server, item.payload)
                else:
                    if isinstance(item, (Request, Waiter)):
                        if not item.wanted:
                            return
                        self.request = item
                    handler, argument = self.find(item)
                    value = handler(self.server, argument) if handler else self.unhandled(item)
                if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                    value = await value
        except ProcessError as error:
            if not self.refuse(error):
                raise
        else:
            if self.request is not None:
                self.answer(item, value)

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
        if process.ended:  # given up meanwhile
            self._held = None
            return
        end, outwards = judge(process, None, error)
        del error
        if end is None:
            self.drop()  # the request in hand
            self._busy, self._held = False, None
            end = self._upgrade()
            if end is None:
                return
        elif self.finished is not None and not end.abnormal:
            end = self.finished
        if outwards is not None and stops_the_host(process, outwards):
            outwards = None
        await self._part(end)
        self._held = None
        if not process.ended:
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

    def cut(self, end: Exit) -> Awaitable[None] | None:
        """Its `terminate` may await. A handler that waits is cancelled in its own task."""
        if self._held is not None:
            return None
        if not self.table.parting:
            self.leave(end)
            return None
        self._busy = self._scheduled = True
        return self._cut(end)

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
