"""What a function entry runs: a Python callable here, a Lua method in the Lua bridge.

Rules: DE9-DE13 (Python code), F5 (one value). A callee belongs to an entry; what it needs per
worker it makes in `make_worker`, and the pool keeps that for it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors.fields import FieldError, shown

if TYPE_CHECKING:
    from trio_actors.functions.frame import FrameContext

__all__ = ["Callee", "PythonCallee", "import_callable"]


class Callee(Protocol):
    """The code of a function; knows nothing of pools, chains and permissions."""

    @property
    def suspends(self) -> bool:
        """False if `run` never waits, so that a call needs no cancel scope."""
        ...

    @property
    def early(self) -> bool:
        """True if `begin` is to be asked first, before there is a cancel scope."""
        ...

    def make_worker(self) -> Any:
        """What one worker needs, made at its first call; raising fails that call (PL10)."""
        ...

    def drop_worker(self, payload: Any) -> None:
        """The worker is gone; never raises."""
        ...

    def run(self, frame: FrameContext, payload: Any, args: tuple[Any, ...]) -> Awaitable[Any]:
        """One invocation; its value or its exception is the outcome."""
        ...

    def carry(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of a call that starts later, as they are now (GC5).

        Raises: ProcessInvalid for what cannot cross, which is a start error of `async` (F4).
        """
        ...

    def begin(
        self, frame: FrameContext, payload: Any, args: tuple[Any, ...]
    ) -> tuple[Any, Awaitable[Any] | None]:
        """The part of an invocation that waits for nothing: its value, or what is left to await.

        A cancel scope costs more than a short call, so one that ends here gets none.
        """
        ...


class PythonCallee:
    """A Python callable, `async def` or `def` (DE10)."""

    __slots__ = ("_fixed", "_most", "_required", "early", "function", "suspends")

    def __init__(self, function: Callable[..., Any]) -> None:
        """Checks the signature (DE11). Raises: ProcessInvalid."""
        self.function = function
        self.suspends = _is_async(function)
        self.early = False
        self._required, self._most = _positions(function)
        self._fixed = self._required if self._required == self._most else None

    def make_worker(self) -> None:
        """Python keeps nothing per worker: module state is shared (PL14)."""

    def drop_worker(self, payload: Any) -> None:
        """Nothing to drop."""

    def run(self, frame: FrameContext, payload: Any, args: tuple[Any, ...]) -> Awaitable[Any]:
        """Binds by position: missing ones are None or the default, surplus is dropped (DE11)."""
        if self._fixed is None or len(args) != self._fixed:
            if len(args) < self._required:
                args += (None,) * (self._required - len(args))
            elif self._most is not None and len(args) > self._most:
                args = args[: self._most]
        if self.suspends:
            result: Awaitable[Any] = self.function(*args)
            return result
        return _ready(self.function, args)

    def carry(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Python to Python goes by reference (M26)."""
        return args

    def begin(
        self, frame: FrameContext, payload: Any, args: tuple[Any, ...]
    ) -> tuple[None, Awaitable[Any]]:
        """Everything is left."""
        return None, self.run(frame, payload, args)


async def _ready(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:  # noqa: ASYNC124
    return function(*args)


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    return inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _positions(function: Callable[..., Any]) -> tuple[int, int | None]:
    """How many positional parameters have no default, and how many there are at most."""
    if not callable(function):
        raise make_error(ErrorKind.INVALID, f"a function must be callable, not {shown(function)}")
    kinds = inspect.Parameter
    required, most, unlimited = 0, 0, False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0, None  # a built-in that does not tell
    for parameter in parameters:
        if parameter.kind is kinds.VAR_POSITIONAL:
            unlimited = True
        elif parameter.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD):
            most += 1
            required += parameter.default is kinds.empty
        elif parameter.kind is kinds.KEYWORD_ONLY and parameter.default is kinds.empty:
            raise make_error(
                ErrorKind.INVALID,
                f"{_name(function)} needs the keyword argument '{parameter.name}', which a call"
                " cannot give; give it a default",
            )
    return required, None if unlimited else most


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", function))


def import_callable(source: object, path: str = "source") -> Callable[..., Any]:
    """The callable that `package.module:callable` names (DE9).

    Raises: FieldError, which shows the import failure.
    """
    expected = "package.module:callable"
    if not isinstance(source, str):
        raise FieldError(path, expected, shown(source))
    module, colon, name = source.partition(":")
    if not colon or not module or not name:
        raise FieldError(path, expected, shown(source))
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        text = f"{shown(source)} ({type(error).__name__}: {error})"
        raise FieldError(path, "a module that can be imported", text) from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise FieldError(path, expected, f"{shown(source)} ({error})") from None
    if not callable(found):
        raise FieldError(path, "something callable", f"{shown(source)}, {shown(found)}")
    function: Callable[..., Any] = found
    return function
