"""The interceptor chain: which interceptors a call passes, in which order, and the call itself.

Rules: IC1-IC3, IC5, IC6, IC8-IC12. A chain is built once per function and set of options and then
is nested callables: each further interceptor costs one coroutine.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import attrs
import trio

from trio_actors._core.context import ProcessContext
from trio_actors._core.errors import ErrorKind, ProcessError, fresh, make_error
from trio_actors._core.inherited import Inherited, copy_values
from trio_actors._core.pid import Pid
from trio_actors.fields import FieldError, strings
from trio_actors.functions.frame import boundary_error, outwards
from trio_actors.functions.options import CallOptions, parse_options

__all__ = ["Call", "Interceptor", "Interceptors", "Next", "compile_globs", "link", "through"]

Next = Callable[["Call"], Awaitable[Any]]
InterceptorFunction = Callable[["Call", Next], Awaitable[Any]]
UNCHANGED: Any = object()


@attrs.define(slots=True)
class Journal:
    """What the interceptors of one call tell each other; shared by all copies of the call."""

    attempts: int = 1


@attrs.define(slots=True)
class Call:
    """A call on its way through the chain; change it by `replace`, never in place (IC9)."""

    id: str
    args: tuple[Any, ...]
    settings: CallOptions
    inherited: Inherited
    # The calling frame or process; None for the root.
    parent: ProcessContext | None
    # On Trio's clock, infinity if the call has no timeout of its own.
    deadline: float
    attempt: int
    journal: Journal
    # What the call hands down besides context values (CX2).
    baggage: Mapping[str, Any]
    # The entry that was found for the id; None after the id was changed.
    entry: Any

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the call, custom keys included (IC4)."""
        return self.settings.raw

    @property
    def context(self) -> Mapping[str, Any]:
        """Context values that the callee will see; copies (CX9)."""
        return self.inherited.shown()

    @property
    def actor(self) -> Any:
        """Actor that the callee will see."""
        return self.inherited.actor

    @property
    def scope(self) -> Any:
        """Scope that the callee will see."""
        return self.inherited.scope

    @property
    def caller(self) -> Pid | None:
        """PID of the caller; None for the root."""
        return None if self.parent is None else self.parent.pid

    def replace(
        self,
        *,
        id: str = UNCHANGED,
        args: Iterable[Any] = UNCHANGED,
        options: Mapping[str, Any] = UNCHANGED,
        context: Mapping[str, Any] = UNCHANGED,
        actor: Any = UNCHANGED,
        scope: Any = UNCHANGED,
    ) -> Call:
        """A copy with other values; a changed id calls that function (IC9).

        Other options are those of the built-ins further in; the chain stays as it is.
        Raises: ProcessInvalid for malformed options (IC7) and context values (CX9).
        """
        changes: dict[str, Any] = {}
        if id is not UNCHANGED and id != self.id:
            changes |= {"id": id, "entry": None}
        if args is not UNCHANGED:
            changes["args"] = tuple(args)
        if options is not UNCHANGED:
            try:
                changes["settings"] = parse_options(options)
            except FieldError as error:
                raise error.as_invalid() from None
        inherited: dict[str, Any] = {}
        if context is not UNCHANGED:
            inherited["values"] = copy_values(context)
        if actor is not UNCHANGED:
            inherited["actor"] = actor
        if scope is not UNCHANGED:
            inherited["scope"] = scope
        if inherited:
            changes["inherited"] = attrs.evolve(self.inherited, **inherited)
        return attrs.evolve(self, **changes)


@attrs.frozen(slots=True)
class Interceptor:
    """One interceptor with its place in the chain."""

    name: str
    function: InterceptorFunction
    order: int
    match: tuple[str, ...]
    pattern: re.Pattern[str]
    # For a built-in: whether options name it (IC7). Custom ones act on every match.
    wanted: Callable[[CallOptions], bool] | None = None


def compile_globs(globs: str | Iterable[str]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """The globs and one expression for all: `*` any characters, `?` one, case-sensitive (IC12)."""
    texts = strings(list(globs) if isinstance(globs, set | frozenset) else globs, "match")
    parts = [re.escape(text).replace(r"\*", ".*").replace(r"\?", ".") for text in texts]
    return texts, re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL)


class Interceptors:
    """All interceptors of an application; `version` grows with every change (IC6)."""

    def __init__(self, built_in: Iterable[Interceptor] = ()) -> None:
        self._by_name = {interceptor.name: interceptor for interceptor in built_in}
        self._built_in = frozenset(self._by_name)
        self.version = 0

    def add(
        self,
        name: str,
        function: InterceptorFunction,
        *,
        order: int = 50,
        match: str | Iterable[str] = "*",
    ) -> None:
        """Adds one for later calls (IC11).

        Raises: ProcessAlreadyExists; TypeError and ProcessInvalid for what cannot be one (GC3).
        """
        if not callable(function):
            raise TypeError(f"an interceptor is callable, not a {type(function).__name__}")
        if isinstance(order, bool) or not isinstance(order, int):
            raise TypeError(f"order must be an int, not a {type(order).__name__}")
        if name in self._by_name:
            raise make_error(ErrorKind.ALREADY_EXISTS, f"interceptor already exists: {name}")
        try:
            texts, pattern = compile_globs(match)
        except FieldError as error:
            raise error.as_invalid() from None
        self._by_name[name] = Interceptor(name, function, order, texts, pattern)
        self.version += 1

    def remove(self, name: str) -> None:
        """Removes a custom one for later calls. Raises: ProcessNotFound (IC11)."""
        if name not in self._by_name or name in self._built_in:
            raise make_error(ErrorKind.NOT_FOUND, f"interceptor not found: {name}")
        del self._by_name[name]
        self.version += 1

    def select(self, id: str, options: CallOptions) -> list[Interceptor]:
        """Those that a call passes, outermost first (IC3)."""
        chosen = [
            interceptor
            for interceptor in self._by_name.values()
            if (interceptor.wanted is None or interceptor.wanted(options))
            and interceptor.pattern.fullmatch(id)
        ]
        return sorted(chosen, key=lambda interceptor: (interceptor.order, interceptor.name))


def link(interceptors: Iterable[Interceptor], innermost: Next) -> Next:
    """The onion as one callable (IC3)."""
    step = innermost
    for interceptor in reversed(list(interceptors)):
        step = _around(interceptor.function, step)
    return step


def _around(function: InterceptorFunction, inner: Next) -> Next:
    return lambda call: function(call, inner)


async def through(chain: Next, call: Call) -> Any:
    """A call through its chain; whatever an interceptor raises becomes a ProcessError (IC10).

    What a cancelled call ends with is its cancellation, and nothing else (F14, F16).
    """
    try:
        value = await chain(call)
    except Exception as error:
        await trio.lowlevel.checkpoint_if_cancelled()  # noqa: ASYNC120  which is what is wanted
        if isinstance(error, ProcessError):
            raise fresh(error) from None
        raise boundary_error(error, call.id) from None
    except BaseExceptionGroup as group:
        raise outwards(group) or group from None
    await trio.lowlevel.checkpoint_if_cancelled()
    return value
