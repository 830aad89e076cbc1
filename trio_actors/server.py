"""Servers: a class with typed message handlers as a process.

A class whose handlers (and `init`, `terminate`) are all plain functions needs no task: its host's
dispatcher steps it, which is five to ten times as fast. As soon as one of them is `async`, its
processes get a Trio task each. Nothing else about them differs (TM2).

    @attrs.frozen
    class Get(trio_actors.Ask[int]):
        pass

    class Counter(trio_actors.Server):
        def init(self, start: int = 0) -> None:
            self.count = start

        @trio_actors.handles(Get)
        def get(self, request: Get) -> int:
            return self.count

    pid = await host.spawn(Counter, 5)
    assert await node.ask(pid, Get()) == 5
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import trio

from trio_actors._core.ask import PENDING, Request, Waiter
from trio_actors._core.code import Body, TaskBody, arity
from trio_actors._core.context import ProcessContext
from trio_actors._core.copying import Copying, CopyingStepped
from trio_actors._core.dormant import Dormant, Unstarted
from trio_actors._core.drive import Drive
from trio_actors._core.errors import ProcessError
from trio_actors._core.exit import NOTHING, Exit
from trio_actors._core.message import Event, EventKind, Message
from trio_actors._core.pace import Pace
from trio_actors._core.quick import launch_plain
from trio_actors._core.serving import HandlerTable, Migration, Serving, begin, may_defer
from trio_actors._core.stepped import Stepped, make_stepped
from trio_actors._core.subscription import BUDGET
from trio_actors._core.task import TaskDrive
from trio_actors._core.wake import GO

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors._core.mailbox import Mailbox
    from trio_actors._core.process import Process

logger = logging.getLogger("trio_actors.server")
MethodT = TypeVar("MethodT", bound=Callable[..., Any])
Handled = type | str | EventKind


def handles(*what: Handled) -> Callable[[MethodT], MethodT]:
    """Marks a method as the handler of message classes, topics or control events.

    A handler of a class gets the message object (also of subclasses), one of a topic the Message,
    one of an event the Event. What a handler of an `Ask` class returns is the reply.
    """
    if not what:
        raise TypeError("handles() needs at least one message class, topic or EventKind")
    for one in what:
        if not isinstance(one, (type, str)):
            raise TypeError(f"handles() takes classes, topics and EventKinds, not {one!r}")

    def mark(method: MethodT) -> MethodT:
        method.__handles__ = what  # type: ignore[attr-defined]  # read by Server.__init_subclass__
        return method

    return mark


class Server:
    """Base of servers: subclass it, mark handlers with `@handles`, spawn the class itself.

    Attributes:
        ctx: the process's context, from `init` on.
        version: of the code; an upgrade passes the old one to `migrate`.
    """

    version: ClassVar[int] = 1
    _handlers: ClassVar[HandlerTable] = HandlerTable({}, {}, {}, {}, True)
    _target: ClassVar[ServerTarget]
    ctx: ProcessContext
    _serving: Serving

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = _collect(cls)
        cls._target = ServerTarget(cls)

    @classmethod
    def __process_target__(cls) -> ServerTarget:
        """This class as a definition."""
        return cls._target

    # -- what an author overrides

    def init(self, *args: Any, **kwargs: Any) -> Any:  # so that any override fits, for checkers
        """Sets the state up, before the first message; may be async. Failing fails the process."""

    def terminate(self, exit: Exit) -> Any:
        """Cleans up after the last message, whatever the end; may be async, shielded for 5 s."""

    def migrate(self, old_version: int, state: Any) -> Any:
        """Takes over the state of the code before an upgrade; may be async."""
        raise TypeError(f"{type(self).__name__} has no migrate(old_version, state)")

    def unhandled(self, item: Message | Event) -> Any:
        """Called for what no handler takes; by default it is logged and dropped."""
        logger.warning(
            "%s (%s) has no handler for %r",
            self.ctx.pid,
            self.ctx.id,
            item,
            extra={"pid": self.ctx.pid, "entry": self.ctx.id},
        )

    # -- what an author calls

    def stop(self, value: Any = None) -> None:
        """Ends normally, with this value, when the handler is done."""
        serving = self._serving
        serving.finished = NOTHING if value is None else Exit(value)
        serving.halted = True

    def defer(self) -> Request:
        """In a handler of an ask: the reply is given later, by `request.reply(value)`.

        A deferred request that is dropped without a reply tells its caller so.
        """
        return self._serving.defer()

    def upgrade(self, target: Any, state: Any = None) -> None:
        """Goes on as `target` (None: the same class) when the handler is done (U1).

        The new code gets `migrate(old_version, state)` in place of `init`.
        """
        process = self.ctx.process
        process.upgrade = (target, (Migration(type(self).version, state),))
        process.drive.interrupt()


def _collect(cls: type[Server]) -> HandlerTable:
    """The handlers of a class and its bases; a subclass's handler of the same thing wins."""
    table = HandlerTable({}, {}, {}, {}, True)
    methods: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        methods.update(vars(base))
    awaiting = [cls.init, cls.terminate, cls.migrate, cls.unhandled]
    for method in methods.values():
        for what in getattr(method, "__handles__", ()):
            if isinstance(what, EventKind):
                table.by_event[what] = method
            elif isinstance(what, str):
                table.by_topic[what] = method
            else:
                table.by_type[what] = method
                table.named[what.__name__] = what
            awaiting.append(method)
    table.starting = cls.init is not Server.init
    table.parting = cls.terminate is not Server.terminate
    table.typed.update(_typed(cls, table))
    table.plain = not any(inspect.iscoroutinefunction(method) for method in awaiting)
    return table


def _typed(cls: type[Server], table: HandlerTable) -> dict[type, Any]:
    """The handlers whose requests stay with the framework (`HandlerTable.typed`)."""
    handlers = {id(method) for method in table.by_type.values()}
    for base in cls.__mro__:
        if base not in (Server, object):
            for method in vars(base).values():
                inner = isinstance(method, FunctionType) and id(method) not in handlers
                if inner and may_defer(method):  # a handler may call it
                    return {}
    return {
        kind: method
        for kind, method in table.by_type.items()
        if kind.__name__ not in table.by_topic and not may_defer(method)
    }


class ServerTarget:
    """A server class as a definition; its id is `module:qualname` (P7)."""

    def __init__(self, cls: type[Server]) -> None:
        self.cls = cls
        self.id = f"{cls.__module__}:{cls.__qualname__}"
        self.arity = arity(cls.init, skip=1)
        self.table = table = cls._handlers
        ordinary = type(cls) is type and cls.__new__ is object.__new__
        # Makes a server that has not begun; calling the class takes half as long as its `__new__`.
        self.new: Callable[[], Server] = partial(cls.__new__, cls)
        if ordinary and cls.__init__ is object.__init__:
            self.new = cls
        self.dormant: type[Dormant] | None = None  # what it begins as, if it is stepped
        if table.plain and not table.starting:
            self.dormant = Dormant
        elif table.plain and ordinary:  # so making one in its first turn cannot fail
            self.dormant = Unstarted

    launch = launch_plain

    def prepare(self, host: Host, args: tuple[Any, ...]) -> Body:
        """Missing arguments become None, surplus ones are dropped (E7)."""
        if (args or self.arity.required) and not (args and isinstance(args[0], Migration)):
            args = self.arity.fit(args)
        table = self.table
        if not table.plain:
            return AwaitingBody(self.cls, args)
        server = self.new()
        kind = CopyingStepped if host.copy_messages else Stepped
        server._serving = stepped = make_stepped(server, table, args, kind)
        return stepped


class Served(Serving):
    """The queue of a server with a task of its own."""

    __slots__ = ("task",)

    def __init__(self, process: Process, server: Server, table: HandlerTable) -> None:
        super().__init__(server, table)
        self.process = process
        self.task: trio.lowlevel.Task | None = None  # waits for an item

    def put(self, message: Message) -> bool:
        """Takes a message and wakes the task."""
        if self._queue is not None:  # push and wake, written out: every message comes through here
            self._queue.append(message)
        elif self._one is None:
            self._one = message
        else:
            self.push(message)
        task = self.task
        if task is None or self.suspended:
            return True
        self.task = None
        trio.lowlevel.reschedule(task, GO)
        return False

    def put_event(self, event: Event) -> None:
        """Takes a control event and wakes the task."""
        self.events += 1
        self.push(event)
        self.wake()

    def wake(self) -> None:
        """Lets the task look again."""
        if self.task is not None and not self.suspended:
            task, self.task = self.task, None
            trio.lowlevel.reschedule(task, GO)

    def leave(self, _: Any) -> trio.lowlevel.Abort:
        """The task no longer waits for an item."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def handle(self, item: Message | Event) -> None:
        """Runs the handler of one item and gives the reply."""
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


class CopyingServed(Copying, Served):
    """On a host that copies (M26)."""

    __slots__ = ()

    def __init__(self, process: Process, server: Server, table: HandlerTable) -> None:
        super().__init__(process, server, table)
        self.typed = {}  # requests are copied too


class AwaitingBody(TaskBody):
    """A server with a task of its own."""

    __slots__ = ("args", "cls", "serving")
    serving: Served

    def __init__(self, cls: type[Server], args: tuple[Any, ...]) -> None:
        self.cls = cls
        self.args = args

    def make_mailbox(self, process: Process) -> Mailbox:
        """A queue that wakes the task."""
        server = self.cls.__new__(self.cls)
        kind = CopyingServed if process.host.copy_messages else Served
        self.serving = kind(process, server, self.cls._handlers)
        server._serving = self.serving
        return self.serving

    def attach(self, process: Process) -> Drive:
        """A task of the host's nursery."""
        return TaskDrive(process, self)

    async def run(self, ctx: ProcessContext) -> Any:
        """Handles items until the server stops; its value is the exit's."""
        serving = self.serving
        server = serving.server
        assert server is not None
        server.ctx = ctx
        end = Exit()
        try:
            await _maybe(begin(server, self.args))
            ctx.started()
            await _serve(serving)
            end = serving.finished or end
        except BaseException as exc:
            end = Exit.failed(_reason(exc))
            raise
        finally:
            if serving.process.upgrade is not None:
                serving.drop()  # the one in hand
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await _maybe(serving.farewell(end))
        return end.value


async def _serve(serving: Served) -> None:
    pace = Pace(BUDGET)
    process = serving.process
    server, by_type = serving.server, serving.table.by_type
    task = trio.lowlevel.current_task()
    item: Any
    while serving.finished is None:
        item = None
        queue = serving._queue
        if serving.suspended:
            pass
        elif queue is None:
            item, serving._one = serving._one, None
        else:  # pop, written out
            item = queue.popleft()
            if not queue:
                serving._queue = None
        if item is None:
            serving.task = task
            await trio.lowlevel.wait_task_rescheduled(serving.leave)
            pace.renew()
            continue
        if serving.on_take is not None:
            serving.on_take()
        if item.__class__ is not Waiter:
            await serving.handle(item)
        elif item.answer is PENDING:  # `handle`, written out: the inner loop of most asks
            serving.request = item
            try:
                value = by_type[item.payload.__class__](server, item.payload)
                if value.__class__ is CoroutineType or hasattr(value, "__await__"):
                    value = await value
            except ProcessError as error:
                if not serving.refuse(error):
                    raise
            else:
                if serving.request is item:  # not deferred
                    serving.request = None
                    if item.answer is PENDING:  # settle, written out
                        item.answer = value
                        trio.lowlevel.reschedule(item.task, GO)
        pace.left -= 1
        if process.forced is not None or process.upgrade is not None:
            pace.exhaust()
        if pace.left < 0 and not pace.look():
            await trio.lowlevel.checkpoint()
            pace.renew()


async def _maybe(value: Any) -> Any:
    if isinstance(value, Awaitable):
        return await value
    return value


def _reason(exc: BaseException) -> ProcessError:
    from trio_actors._core.errors import as_process_error

    return as_process_error(exc)
