"""The Lua module `funcs`: calls, futures, executors. Rules: functions.md sections 3 and 4.

The work is done by the functions service of the node; a future is a Python future that a coroutine
of the script waits for (lua/funcs.lua).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lua_bridge import handles
from lua_bridge.modules import LuaModule, Values
from trio_actors import ErrorKind, ProcessContext, ProcessError, make_error
from trio_actors._core.inherited import Inherited, extend
from trio_actors.functions import Functions, Future
from trio_actors.permission import inherited_of, require
from trio_actors.security import Actor, Scope

SECURITY = "funcs.security"


def service_of(ctx: ProcessContext) -> Functions:
    """The functions service of the node. Raises: ProcessInvalid."""
    functions = ctx.node.functions
    if not isinstance(functions, Functions):
        raise make_error(ErrorKind.INVALID, "no functions service on this node")
    return functions


def mapping(value: Any) -> Mapping[str, Any] | None:
    """A table that a script gave: an empty one arrives as an empty list (M27)."""
    if isinstance(value, list) and not value:
        return {}
    return value if isinstance(value, Mapping) else None


def overlay(ctx: ProcessContext, spec: Mapping[str, Any]) -> Inherited:
    """What the callee sees: the caller's, with what an executor lays over it (CX5)."""
    actor, scope = spec.get("actor"), spec.get("scope")
    return extend(
        inherited_of(ctx),
        values=mapping(spec.get("values")),
        actor=None if actor is None else handles.find(ctx.process, actor, Actor),
        scope=None if scope is None else handles.find(ctx.process, scope, Scope),
    )


async def _call(ctx: ProcessContext, spec: Any, id: str, *args: Any) -> Any:
    functions, parts = service_of(ctx), mapping(spec) or {}
    inherited = overlay(ctx, parts) if parts else None
    options = mapping(parts.get("options"))
    return await functions.call_from(ctx, id, args, options, inherited=inherited)


def _start(ctx: ProcessContext, spec: Any, id: str, *args: Any) -> int:
    functions, parts = service_of(ctx), mapping(spec) or {}
    inherited = overlay(ctx, parts) if parts else None
    options = mapping(parts.get("options"))
    future = functions.start_from(ctx, id, args, options, inherited=inherited, carried=True)
    return keep_future(ctx, future)


def keep_future(ctx: ProcessContext, future: Future) -> int:
    """The number of a future; the call of one for which there is no room is cancelled."""
    try:
        return handles.keep(ctx, future)
    except ProcessError:
        future.cancel()
        raise


async def _wait(ctx: ProcessContext, number: int) -> Values:
    """`true, value`, `false` and the error as nil, Error does it, or nothing when cancelled."""
    future = handles.find(ctx.process, number, Future)
    await future.wait()
    handles.drop(ctx, number)
    if future.is_canceled():
        return Values("canceled")
    error: ProcessError | None = future.error()
    if error is not None:
        return Values("failure", error)
    return Values("success", future.result())


def _cancel(ctx: ProcessContext, number: int) -> bool:
    handles.find(ctx.process, number, Future).cancel()
    return True


def _with_context(ctx: ProcessContext) -> bool:
    require(ctx.node, ctx, "funcs.context", "context")
    return True


def _with_security(ctx: ProcessContext) -> bool:
    require(ctx.node, ctx, SECURITY, "security")
    return True


MODULE = LuaModule(
    "funcs",
    operations={
        "call": _call,
        "start": _start,
        "wait": _wait,
        "cancel": _cancel,
        "with_context": _with_context,
        "with_security": _with_security,
    },
)
