"""Servers with async handlers: stepped like those with plain ones, with a task while they wait.

The theory: each turn is a coroutine that the dispatcher begins. Mostly it ends without having
waited for anything, and no task was needed. If it waits, its carrier is the task of the process
until all that is unread has been handled (dispatch.py): so a handler runs in one task from its
first to its last line, and scopes, nurseries and locks are what they are in any task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextvars import Context, copy_context
from sys import getrefcount
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.ask import PENDING, Request, Waiter
from trio_actors._core.copying import Copying
from trio_actors._core.current import running
from trio_actors._core.dispatch import Held, Waiting
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
        """Handles what is unread now, at most TURN messages, or until a checkpoint is due."""
        if self.route is not None:
            self.close_route()
        self._busy = True
        process = self.process
        scope = None
        if process.rare is not None:  # then it may have a deadline
            scope = self._dispatcher.scope
            assert scope is not None
            scope.deadline = process.deadline
        code = self._work()
        try:
            trap = self._context.run(code.send, None)
        except StopIteration:
            if scope is not None:
                scope.deadline = float("inf")
            return None
        self._held = Held(self, code, self._context, trap)
        return self._held

    async def _work(self) -> None:
        """One turn, and what follows if it waits: then all that comes until nothing is unread."""
        try:
            if not self._begun:
                await self._begin_code()
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
        pace = self._dispatcher.pace
        server = self.server
        by_topic = self.table.by_topic
        by_type = self.table.by_type
        turns = TURN if self._queue is not None else 1
        message: Any = None
        item: Any
        value: Any
        while not self.halted:
            queue = self._queue
            if queue is None:
                item, self._one = self._one, None
                if item is None:
                    break
            else:
                item = queue.popleft()
                if not queue:
                    self._queue = None
            if item.__class__ is tuple:  # a Parcel
                if getrefcount(message) != ALONE:  # else nobody has kept the one before
                    message = Sent()
                message.topic, message.sender, message.payload, message.at = item
                handler = by_topic.get(item[0])
                if handler is not None:
                    value = handler(server, message)
                elif (typed := by_type.get(item[2].__class__)) is not None:
                    value = typed(server, item[2])
                else:
                    value = None
                    await self._handle_other(message)
                if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                    await value
            else:
                await self._handle_other(item)
            pace.left -= 1
            if self._held is not None:
                if pace is self._dispatcher.pace:  # it is in a task of its own now
                    pace = Pace(BUDGET, self.hand)
                    pace.renew()
                if pace.left < 0 and not pace.look():
                    await trio.lowlevel.checkpoint()
                    pace.renew()
            else:
                turns -= 1
                if not turns or (pace.left < 0 and not pace.look()):
                    break

    async def _handle_other(self, item: Any) -> None:
        """Everything that is no Parcel: also requests, events, data."""
        if self.on_take is not None:
            self.on_take()
        if item.__class__ is Waiter:  # written out: most asks come through here
            if item.answer is not PENDING:
                return
            self.request = item
            try:
                value = self.table.by_type[item.payload.__class__](self.server, item.payload)
                if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                    value = await value
            except ProcessError as error:
                if not self.refuse(error):
                    raise
                return
            if self.request is item:  # not deferred
                self.request = None
                if item.answer is PENDING:  # settle, written out
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
            if value is not None and hasattr(value, "__await__"):
                value = await value
        except ProcessError as error:
            if not self.refuse(error):
                raise
            return
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
