"""Coroutine functions as definitions of processes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from types import CodeType
from typing import TYPE_CHECKING, Any

import attrs

from trio_actors._core.carrier import SIGHT
from trio_actors._core.code import ProcessFunction, TaskBody
from trio_actors._core.roaming import Roaming
from trio_actors._core.task import TaskDrive
from trio_actors._core.unwinding import quiet

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.drive import Drive
    from trio_actors._core.host import Host
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process

MOST = 1024  # functions that are known to need a task


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
    code: CodeType | None  # None: not to be known
    quiet: bool  # cannot tell by what it is unwound

    def prepare(self, host: Host, args: tuple[Any, ...]) -> TaskBody:
        """A call with these arguments."""
        if args or self.arity.required:
            args = self.arity.fit(args)
        code = self.code
        if code is None or not SIGHT.roaming or id(code) in host.node.tasked:
            return FunctionBody(self.function, args)
        return Roaming(self, args)

    def needs_tasks(self, node: Node) -> None:
        """From now on it is started with a task of its own: its code has had to get one."""
        if len(node.tasked) >= MOST:  # they were made as the program runs
            node.tasked.clear()
        node.tasked[id(self.code)] = self.code


class FunctionBody(TaskDrive, TaskBody):
    """A call of a coroutine function with a task from the start: body and drive in one."""

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
    code = getattr(_unwrapped(function), "__code__", None)
    positions = arity(function, skip=1)
    return FunctionTarget(function, id or f"{module}:{name}", positions, code, quiet(code))


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isfunction(function) or inspect.ismethod(function):
        return function
    return getattr(function, "__call__", function)  # noqa: B004  an object with async __call__
