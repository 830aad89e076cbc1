"""The Lua module `contract`. Rules: functions.md section 8.2.

Contracts and instances are Python objects that the script holds by number; method calls look the
default binding up each time, as in Python (CT6).
"""

from __future__ import annotations

from typing import Any

from lua_bridge import handles
from lua_bridge.modules import LuaModule, Values
from lua_bridge.modules.funcs import keep_future, mapping, service_of
from trio_actors import ProcessContext
from trio_actors.functions import Contract, Instance
from trio_actors.security import Actor, Scope

Callable_ = Contract | Instance


def _object(ctx: ProcessContext, number: int) -> Callable_:
    found = handles.find(ctx.process, number, object)
    if not isinstance(found, Contract | Instance):
        raise TypeError("expected a contract or an instance")
    return found


def _get(ctx: ProcessContext, id: str) -> int:
    return handles.keep(ctx, service_of(ctx).contracts.get(id))


def _open(ctx: ProcessContext, binding: str, scope: Any = None, options: Any = None) -> int:
    contracts = service_of(ctx).contracts
    return handles.keep(ctx, contracts.open(binding, mapping(scope), mapping(options)))


def _open_from(
    ctx: ProcessContext, number: int, binding: str | None, scope: Any = None, options: Any = None
) -> int:
    contract = handles.find(ctx.process, number, Contract)
    return handles.keep(ctx, contract.open(binding, mapping(scope), mapping(options)))


def _implementations(ctx: ProcessContext, id: str) -> list[str]:
    return service_of(ctx).contracts.find_implementations(id)


def _is(ctx: ProcessContext, number: int, id: str) -> bool:
    found = handles.find(ctx.process, number, object)
    return service_of(ctx).contracts.is_(found, id)


def _id(ctx: ProcessContext, number: int) -> str:
    return handles.find(ctx.process, number, Contract).id()


def _methods(ctx: ProcessContext, number: int) -> Any:
    return handles.find(ctx.process, number, Contract).methods()


def _method(ctx: ProcessContext, number: int, name: str) -> Any:
    return handles.find(ctx.process, number, Contract).method(name)


def _with(ctx: ProcessContext, number: int, what: str, value: Any = None) -> int:
    contract = handles.find(ctx.process, number, Contract)
    if what == "context":
        return handles.keep(ctx, contract.with_context(mapping(value) or {}))
    if what == "options":
        return handles.keep(ctx, contract.with_options(mapping(value) or {}))
    if what == "check_context":
        service_of(ctx).contracts.check_context()
        return number
    if what == "check_security":
        service_of(ctx).contracts.check_security()
        return number
    if what == "actor":
        return handles.keep(ctx, contract.with_actor(handles.find(ctx.process, value, Actor)))
    return handles.keep(ctx, contract.with_scope(handles.find(ctx.process, value, Scope)))


def _find(ctx: ProcessContext, number: int, name: str) -> Values:
    """Name of the method and whether the async form is meant; nothing for no method (CT8)."""
    found = _object(ctx, number)._find(name)
    return Values(None) if found is None else Values(*found)


async def _invoke(ctx: ProcessContext, number: int, method: str, *args: Any) -> Any:
    return await _object(ctx, number)._invoke(ctx, method, args, lua=True)


def _start(ctx: ProcessContext, number: int, method: str, *args: Any) -> int:
    return keep_future(ctx, _object(ctx, number)._start(ctx, method, args, lua=True))


MODULE = LuaModule(
    "contract",
    operations={
        "get": _get,
        "open": _open,
        "open_from": _open_from,
        "implementations": _implementations,
        "is": _is,
        "id": _id,
        "methods": _methods,
        "method": _method,
        "with": _with,
        "find": _find,
        "invoke": _invoke,
        "start": _start,
    },
)
