"""From a target to code: what can be spawned, and how its body is driven.

A *target* is a coroutine function, a class that makes its own body (a `Server`), or a registry id
that one of the node's code sources knows. A *body* is the code of one process. What runs it is a
*drive* (drive.py): a Trio task of its own, or its host's dispatcher that steps it; what a process
is does not depend on it (design.md §5).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs

from trio_actors._core.mailbox import Mailbox, PythonMailbox
from trio_actors._core.task import TaskDrive

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.drive import Drive
    from trio_actors._core.host import Host
    from trio_actors._core.process import Process

ProcessFunction = Callable[..., Awaitable[Any]]


class Body(Protocol):
    """The code of one process, bound to its arguments."""

    def make_mailbox(self, process: Process) -> Mailbox:
        """The mailbox that this code reads from."""
        ...

    def attach(self, process: Process) -> Drive:
        """The drive that will run this code; nothing runs before its `start`."""
        ...


@runtime_checkable
class Target(Protocol):
    """A definition that processes can be started from."""

    @property
    def id(self) -> str:
        """Registry id; also the resource of permission checks."""
        ...

    def prepare(self, host: Host, args: tuple[Any, ...]) -> Body:
        """A body for these arguments; runs inside spawn and never awaits (E5).

        Raises:
            ProcessError: the spawn fails with it and no PID comes into being (E6).
        """
        ...


class TargetMaker(Protocol):
    """What makes its own definition: a Server class, a Supervisor."""

    def __process_target__(self) -> Target:
        """The definition."""
        ...


class CodeSource(Protocol):
    """Knows definitions by registry id."""

    def find(self, id: str) -> Target | None:
        """The definition of this id, or None."""
        ...


class TaskBody:
    """Base of bodies that run as a Trio task: `run(ctx)` is awaited, its end is the exit."""

    __slots__ = ()

    def make_mailbox(self, process: Process) -> Mailbox:
        """The ordinary mailbox of Python code."""
        if process.host.copy_messages:
            from trio_actors._core.copying import CopyingMailbox

            return CopyingMailbox(process.node.hand)
        return PythonMailbox(process.node.hand)

    def attach(self, process: Process) -> Drive:
        """A task of the host's nursery."""
        return TaskDrive(process, self)

    def run(self, ctx: ProcessContext) -> Awaitable[Any]:
        """The code itself; what it returns or raises is the exit result (§1.5)."""
        raise TypeError(f"{type(self).__name__} has no run method")

    def interrupted(self) -> None:
        """Told at once that the code will be stopped, before its task is cancelled (T6)."""


@attrs.frozen(slots=True)
class Arity:
    """How many positional arguments a callable must and may get."""

    required: int
    most: int | None

    def fit(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Missing arguments become None, surplus ones are dropped (E7)."""
        if len(args) < self.required:
            return args + (None,) * (self.required - len(args))
        return args if self.most is None or len(args) <= self.most else args[: self.most]


def arity(function: Callable[..., Any], *, skip: int) -> Arity:
    """The arity of a callable whose first `skip` arguments the framework gives.

    Raises:
        TypeError: it takes fewer than `skip` positions, or needs a keyword.
    """
    kinds = inspect.Parameter
    positional = []
    endless = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is kinds.VAR_POSITIONAL:
            endless = True
        elif parameter.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD):
            positional.append(parameter)
        elif parameter.kind is kinds.KEYWORD_ONLY and parameter.default is kinds.empty:
            raise TypeError(f"{function!r} needs the keyword {parameter.name}; spawn gives none")
    if len(positional) < skip and not endless:
        raise TypeError(f"{function!r} must take the process context as its first argument")
    required = sum(1 for p in positional if p.default is kinds.empty)
    return Arity(max(0, required - skip), None if endless else len(positional) - skip)


@attrs.frozen(slots=True)
class FunctionTarget:
    """A coroutine function as a definition; its id is `module:qualname` (P7)."""

    function: ProcessFunction
    id: str
    arity: Arity

    def prepare(self, host: Host, args: tuple[Any, ...]) -> FunctionBody:
        """A call with these arguments."""
        if args or self.arity.required:
            args = self.arity.fit(args)
        return FunctionBody(self.function, args)


class FunctionBody(TaskDrive, TaskBody):
    """A call of a coroutine function: body and drive in one, as most processes are of this kind."""

    __slots__ = ("args", "function")

    def __init__(self, function: ProcessFunction, args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.body = self  # until its end
        self.scope = self.task = None

    def attach(self, process: Process) -> Drive:
        """Itself."""
        self.process = process
        return self

    def run(self, ctx: ProcessContext) -> Awaitable[Any]:
        """Awaits `function(ctx, *args)`."""
        return self.function(ctx, *self.args)


@functools.lru_cache(maxsize=1024)
def function_target(function: ProcessFunction, *, id: str | None = None) -> FunctionTarget:
    """The definition of a coroutine function `async def f(ctx, *args)`.

    Raises:
        TypeError: not a coroutine function, or one that cannot take the context and positions.
    """
    if not inspect.iscoroutinefunction(_unwrapped(function)):
        raise TypeError(f"a process is an async function taking ctx first, not {function!r}")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = getattr(function, "__module__", type(function).__module__)
    return FunctionTarget(function, id or f"{module}:{name}", arity(function, skip=1))


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isfunction(function) or inspect.ismethod(function):
        return function
    return getattr(function, "__call__", function)  # noqa: B004  an object with async __call__
