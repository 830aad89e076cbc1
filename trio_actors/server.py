"""Servers: a class with typed message handlers as a process.

Handlers, `init` and `terminate` may be plain or `async`. A server needs no task of its own: its
host's dispatcher steps it. From the first time on that its code waits for something it has one,
until its end. Nothing else about plain and async handlers differs (TM2).

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
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from trio_actors._core.ask import Request
from trio_actors._core.carried import Carried, CopyingCarried
from trio_actors._core.code import Body
from trio_actors._core.context import ProcessContext
from trio_actors._core.copying import CopyingStepped
from trio_actors._core.dormant import Dormant, Unstarted
from trio_actors._core.exit import NOTHING, Exit
from trio_actors._core.function import Arity, arity
from trio_actors._core.hints import hint
from trio_actors._core.message import Event, EventKind, Message
from trio_actors._core.migration import Migration
from trio_actors._core.quick import launch_plain
from trio_actors._core.serving import HandlerTable, Serving, may_defer
from trio_actors._core.stepped import Stepped, make_stepped

if TYPE_CHECKING:
    from trio_actors._core.host import Host

logger = logging.getLogger("trio_actors.server")
MethodT = TypeVar("MethodT", bound=Callable[..., Any])
Handled = type | str | EventKind


def handles(*what: Handled) -> Callable[[MethodT], MethodT]:
    """Marks a method as the handler of message classes, topics or control events.

    A handler of a class gets the message object (also of subclasses), one of a topic the Message,
    one of an event the Event. What a handler of an `Ask` class returns is the reply. A method that
    overrides a handler handles the same, marked or not; `name = None` takes a handler away.
    """
    if not what:
        raise TypeError("handles() needs at least one message class, topic or EventKind")
    for one in what:
        if not isinstance(one, (type, str)):
            raise TypeError(f"handles() takes classes, topics and EventKinds, not {one!r}")

    def mark(method: MethodT) -> MethodT:
        more = (*what, *getattr(method, "__handles__", ()))  # it may be marked twice
        method.__handles__ = more  # type: ignore[attr-defined]  # read by Server.__init_subclass__
        return method

    return mark


class Unmade:
    """Stands for the target of a class until that is asked for: decorators come after the class."""

    def __get__(self, server: object, cls: type[Server]) -> ServerTarget:
        cls._target = target = ServerTarget(cls)
        return target


class Server:
    """Base of servers: subclass it, mark handlers with `@handles`, spawn the class itself.

    The arguments of a spawn go to `init`; a server has no `__init__`, which would not be called.

    Attributes:
        ctx: the process's context, from `init` on.
        version: of the code; an upgrade passes the old one to `migrate`.
    """

    version: ClassVar[int] = 1
    _handlers: ClassVar[HandlerTable] = HandlerTable({}, {}, {}, {}, True)
    _target: ClassVar[Any] = Unmade()  # a ServerTarget
    ctx: ProcessContext
    _serving: Serving

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _vet_init(cls)
        cls._handlers = _collect(cls)
        cls._target = Unmade()

    @classmethod
    def __process_target__(cls) -> ServerTarget:
        """This class as a definition."""
        target: ServerTarget = cls._target
        return target

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
        if not logger.isEnabledFor(logging.WARNING):
            return
        logger.warning(
            "%s (%s) has no handler for %r%s",
            self.ctx.pid,
            self.ctx.id,
            item,
            hint(self._handlers, item),
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

        A server gets `migrate(old_version, state)` in place of `init`; a function or a script gets
        the state as its argument, or no argument if that is None. `terminate` is not called: what
        the old code holds is the new one's.
        """
        process = self.ctx.process
        process.upgrade = (target, (Migration(type(self).version, state),))
        process.drive.interrupt()


def _vet_init(cls: type[Server]) -> Arity:
    """What `init` takes; refuses an `__init__`, but that of a base which is no server."""
    for base in cls.__mro__:
        if "__init__" in vars(base) and issubclass(base, Server):
            raise TypeError(
                f"{base.__qualname__}.__init__ is never called: a server gets the arguments of "
                "spawn in init(self, ...) (a class of attrs or dataclasses: init=False)"
            )
    return arity(cls.init, skip=1)


def _collect(cls: type[Server]) -> HandlerTable:
    """The handlers of a class and its bases; a subclass's handler of the same thing wins."""
    table = HandlerTable({}, {}, {}, {}, True)
    awaiting = [cls.init, cls.terminate, cls.migrate, cls.unhandled]
    for method, marks in _marked(cls).values():
        for what in marks:
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
    table.coroutines = frozenset(filter(inspect.iscoroutinefunction, awaiting))
    table.plain = not table.coroutines
    return table


def _marked(cls: type[Server]) -> dict[str, tuple[Any, tuple[Handled, ...]]]:
    """Handlers by name, and what they handle, those of subclasses later.

    A method that overrides a handler handles the same, unless it is marked itself.

    Raises:
        TypeError: one that cannot be a handler, or two of one class for the same thing.
    """
    found: dict[str, tuple[Any, tuple[Handled, ...]]] = {}
    for base in reversed(cls.__mro__):
        own: dict[Any, str] = {}
        for name, method in vars(base).items():
            marks = getattr(method, "__handles__", None)
            if marks is not None:
                found.pop(name, None)  # so it comes after those of its bases
                for what in marks:
                    first = own.setdefault((type(what), what), name)  # an event kind is a text too
                    if vars(base)[first] is not method:
                        thing = getattr(what, "__name__", repr(what))
                        both = f"{base.__qualname__}.{first} and {base.__qualname__}.{name}"
                        raise TypeError(f"{both} handle {thing}: one class has one handler for it")
            elif name in found:
                marks = found[name][1] if callable(method) else ()
            if marks is not None:
                found[name] = method, marks
            if marks:
                _vet_handler(base, name, method)
    return found


def _vet_handler(cls: type, name: str, method: Any) -> None:
    """Refuses what cannot be called with a message, or yields.

    What a decorator has wrapped does not count, for it may get other arguments.
    """
    where = f"{cls.__qualname__}.{name}"
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        raise TypeError(f"{where} must not yield: what a handler returns is the reply")
    shown = f", a {type(method).__name__},"
    try:
        signature = inspect.signature(method, follow_wrapped=False)
        shown = str(signature)
        signature.bind(None, None)
    except ValueError:  # it has no signature
        return
    except TypeError:
        text = f"{where}{shown} is no handler: expected one message, def {name}(self, message)"
        raise TypeError(text) from None


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

    migrates: ClassVar[bool] = True

    def __init__(self, cls: type[Server]) -> None:
        if cls is Server:
            raise TypeError("Server is the base of servers: spawn a subclass that has handlers")
        self.cls = cls
        self.id = f"{cls.__module__}:{cls.__qualname__}"
        self.arity = _vet_init(cls)
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
        server = self.new()
        kind: type[Stepped] = Stepped if table.plain else Carried
        if host.copy_messages:
            kind = CopyingStepped if table.plain else CopyingCarried
        server._serving = stepped = make_stepped(server, table, args, kind)
        return stepped
