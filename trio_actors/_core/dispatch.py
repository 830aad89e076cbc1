"""Servers with plain handlers: stepped by one task of their host, the dispatcher (design.md §5).

The theory: a runnable server stands in the dispatcher's queue exactly once (`scheduled`). A turn
handles at most TURN messages of one server; a turn of the dispatcher at most BATCH messages or
1 ms, then a checkpoint. A forced end takes effect between two messages (TM2).

An idle server may answer an ask in the caller's turn when nothing can tell the difference: it has
begun, its queue is empty, it is not suspended, not being ended, and not running (`answer_now`).
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.ask import Request, Waiter, ended_error, topic_of
from trio_actors._core.code import DECLINED
from trio_actors._core.current import Stepping, running
from trio_actors._core.errors import FATAL, ProcessError, fresh
from trio_actors._core.exit import Exit, cancelled_outside, deadline_exceeded
from trio_actors._core.lifecycle import Step
from trio_actors._core.message import Event, Message
from trio_actors._core.serving import HandlerTable, Serving
from trio_actors._core.task import judge, replace_code, stops_the_host

if TYPE_CHECKING:
    from trio_actors._core.clock import Timer
    from trio_actors._core.host import Host
    from trio_actors._core.process import Process
    from trio_actors.server import Server

BATCH = 1024  # messages in one turn of the dispatcher
BATCH_SECONDS = 0.001
TURN = 32  # messages of one server in a row


class Dispatcher:
    """Steps the plain servers of one host."""

    def __init__(self, host: Host) -> None:
        self._ready: deque[Stepped] = deque()
        self._parked: trio.lowlevel.Task | None = None
        self._stepping = Stepping()
        self._host = host
        host.start_system_task(self._run, name=f"dispatcher of {host.id}")

    @staticmethod
    def of(host: Host) -> Dispatcher:
        """The dispatcher of a host, started at first need."""
        dispatcher = host.extensions.get("dispatcher")
        if dispatcher is None:
            dispatcher = host.extensions["dispatcher"] = Dispatcher(host)
        found: Dispatcher = dispatcher
        return found

    def add(self, server: Stepped) -> None:
        """The server has something to do; it must not be in the queue already."""
        self._ready.append(server)
        if self._parked is not None:
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task)

    async def _run(self) -> None:
        running.set(self._stepping)
        try:
            await self._step_for_ever()
        finally:  # cancelled with its host: servers end like tasks would (E37)
            for process in self._host.processes():
                if isinstance(process.drive, Stepped):
                    process.drive.end(cancelled_outside().exit())

    async def _step_for_ever(self) -> None:
        while True:
            if not self._ready:
                self._parked = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._unpark)
            self._step()
            await trio.lowlevel.checkpoint()

    def _step(self) -> None:
        """A turn of the dispatcher; a function of its own, so that it keeps no server alive."""
        ready = self._ready
        stepping = self._stepping
        left = BATCH
        until = perf_counter() + BATCH_SECONDS
        while ready and left > 0:
            server = ready.popleft()
            stepping.context = server.process.context
            left -= server.turn(until)
            if perf_counter() >= until:
                break
        stepping.context = None

    def _unpark(self, _: Any) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED


class Stepped(Serving):
    """Mailbox and drive of one plain server."""

    __slots__ = (
        "_args",
        "_begin_with",
        "_begun",
        "_busy",
        "_deferred",
        "_direct",
        "_dispatcher",
        "_scheduled",
        "_timer",
    )
    direct = True

    def __init__(
        self,
        process: Process,
        server: Server,
        table: HandlerTable,
        args: tuple[Any, ...],
        begin: Callable[[Server, tuple[Any, ...]], Any],
    ) -> None:
        super().__init__(process, server, table)
        self._args = args
        self._begin_with = begin
        self._dispatcher = Dispatcher.of(process.host)
        self._begun = False
        self._busy = False
        self._scheduled = True  # true before the start too: messages do not start a process
        self._timer: Timer | None = None
        self._direct: Any = None  # the request being answered in its caller's turn
        self._deferred: Waiter | None = None  # whose handler wants to answer it later

    # Mailbox

    def put(self, message: Message) -> None:
        """Takes a message and sees that it will be handled."""
        if self._head is None:
            self._head = message
        else:
            self.push(message)
        if not self._scheduled:
            self._scheduled = True
            self._dispatcher.add(self)

    def put_event(self, event: Event) -> None:
        """Takes a control event."""
        self.events += 1
        self.push(event)
        self.wake()

    def wake(self) -> None:
        """Sees that the dispatcher looks at it."""
        if not self._scheduled:
            self._scheduled = True
            self._dispatcher.add(self)

    # Drive

    def start(self) -> None:
        """Puts the server into the dispatcher's queue; `init` runs in its first turn."""
        self._dispatcher.add(self)

    def interrupt(self) -> None:
        """Sees that the forced end or upgrade is carried out between two messages."""
        if not self._busy:
            self.wake()

    def limit(self, deadline: float) -> None:
        """Arms a timer: there is no cancel scope here."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.process.node.clock.at(deadline, self._expired)

    def _expired(self) -> None:
        self.process.force(deadline_exceeded(self.process.deadline_by))

    def doing(self) -> str:
        """`idle` or `running`."""
        return "suspended" if self.suspended else "running" if len(self) else "idle"

    # stepping

    def turn(self, until: float) -> int:
        """Handles messages until there are no more, TURN of them, or `until`; returns how many."""
        process = self.process
        handled = 0
        self._busy = True
        try:
            if not self._begun:
                self._begin()
            while process.forced is None and process.upgrade is None and self.finished is None:
                if self.suspended:
                    break
                item = self.pop()
                if item is None:
                    break
                if self.on_take is not None:
                    self.on_take()
                self._handle(item)
                handled += 1
                if handled >= TURN or perf_counter() >= until:
                    break
        except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
            self._end(None, exc)
            return handled + 1  # noqa: ASYNC104
        finally:
            self._busy = False
        if process.forced is not None or self.finished is not None or process.upgrade is not None:
            self._end(self.finished, None)
        elif self._head is not None and not self.suspended:
            self._dispatcher.add(self)
        else:
            self._scheduled = False
        return handled + 1

    def _begin(self) -> None:
        self._begun = True
        if self.process.forced is not None:
            return
        self.process.step(Step.BEGIN)
        assert self.server is not None
        args, self._args = self._args, ()
        self._begin_with(self.server, args)
        assert self.process.context is not None
        self.process.context.started()

    def _handle(self, item: Message | Event) -> None:
        table = self.table
        handler = None
        argument: Any = item
        if isinstance(item, Message):
            if item.__class__ is Request:
                if not item.wanted:
                    return
                self.request = item
            argument = item.payload
            handler = table.by_type.get(argument.__class__)
        try:
            if handler is None:
                handler, argument = self.find(item)
            value = handler(self.server, argument) if handler else self.unhandled(item)
        except ProcessError as error:
            if not self.refuse(error):
                raise
            return
        if inspect.isawaitable(value):
            raise TypeError(f"{handler} returned an awaitable; declare it `async def`")
        if self.request is not None:
            self.answer(item, value)

    # answering in the caller's turn

    def answer_now(self, request: Any, caller: Process | None) -> Any:
        """The reply, if nobody can tell that it was given in the caller's turn."""
        if self._scheduled or self.suspended or self._busy:
            return DECLINED
        handler = self.table.by_type.get(request.__class__)
        if handler is None:
            return DECLINED
        self._busy = True
        self._direct = request
        token = running.set(self.process.context)  # type: ignore[arg-type]  # it has not ended
        try:
            value = handler(self.server, request)
        except ProcessError as error:
            raise fresh(error) from error
        except BaseException as exc:
            self._busy = False
            self._end(None, exc)
            if isinstance(exc, FATAL):
                raise
            record = self.process.node.exits.get(self.process.pid)
            raise ended_error(self.process, record.exit if record else Exit()) from exc  # noqa: ASYNC104
        finally:
            running.reset(token)
            self._busy = False
            self._direct = None
            if self.finished is not None or self.process.forced or self.process.upgrade:
                self.wake()
        waiter, self._deferred = self._deferred, None
        return value if waiter is None else waiter

    def defer(self) -> Request:
        """The request being answered, to be answered later; the handler's value is ignored."""
        if self._direct is None:
            return super().defer()
        waiter = self._deferred = Waiter(self.process)
        deadline = trio.current_effective_deadline()
        return Request(topic_of(self._direct), None, self._direct, waiter, deadline)

    # ending

    def _end(self, value: Exit | None, error: BaseException | None) -> None:
        process = self.process
        if process.ended:
            if error is not None:
                raise error
            return
        end, outwards = judge(process, None, error)
        if end is None:
            end = self._upgrade()
            if end is None:
                return
        elif value is not None and not end.abnormal:
            end = value
        if outwards is not None and stops_the_host(process, outwards):
            outwards = None
        self.end(end)
        if outwards is not None:
            raise outwards

    def end(self, end: Exit) -> None:
        """The server ends now, with this exit."""
        if self._timer is not None:
            self._timer.cancel()
        self._busy = True
        self._scheduled = True
        self.farewell(end)
        self.process.node.end(self.process, end)

    def _upgrade(self) -> Exit | None:
        process = self.process
        end = replace_code(process)
        if end is None:
            if self._timer is not None:
                self._timer.cancel()
                process.drive.limit(process.deadline)
            process.drive.start()
        return end
