"""Calls from inside a process or function: the Python twin of the Lua module `funcs` (GC2).

`await funcs.call(id, *args)`, `funcs.async_(id, *args)`, `funcs.new()`. The functions service is
that of the node on which the running frame lives. Outside every frame use the `Functions` object,
or these after `open_functions` in the same task (GC11).
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from trio_actors._core.current import current_or_none
from trio_actors._core.errors import ErrorKind, make_error

if TYPE_CHECKING:
    from trio_actors.functions.executor import Executor
    from trio_actors.functions.future import Future
    from trio_actors.functions.service import Functions

__all__ = ["async_", "call", "new", "service"]

root_service: ContextVar[Functions | None] = ContextVar("trio_actors.functions", default=None)


def service() -> Functions:
    """The functions service of the running frame, or of the root.

    Raises: ProcessInvalid, when there is none.
    """
    caller = current_or_none()
    functions: Functions | None = root_service.get() if caller is None else caller.node.functions
    if functions is None:
        raise make_error(ErrorKind.INVALID, "no functions service on this node")
    return functions


def call(id: str, *args: Any) -> Coroutine[Any, Any, Any]:
    """`await` it: the value of a function. Checkpoint: always."""
    return service().call(id, *args)


def async_(id: str, *args: Any) -> Future:
    """Starts a call and returns its future; never waits."""
    return service().async_(id, *args)


def new() -> Executor:
    """An executor, for calls with other context, actor, scope or options."""
    return service().new()
