"""The Lua module `store`: keys and values of a `store.memory` entry. Rule: SE23.

Values cross as copies, so what a script keeps nobody changes behind its back.
"""

from __future__ import annotations

from typing import Any

from lua_bridge import handles
from lua_bridge.modules import LuaModule
from lua_bridge.modules.funcs import service_of
from trio_actors import ProcessContext
from trio_actors.fields import FieldError, duration
from trio_actors.security.store import MemoryStore


def _store(ctx: ProcessContext, number: int) -> MemoryStore:
    return handles.find(ctx.process, number, MemoryStore)


def _open(ctx: ProcessContext, id: str) -> int:
    return handles.keep(ctx, service_of(ctx).security.store(id))


def _get(ctx: ProcessContext, number: int, key: str) -> Any:
    return _store(ctx, number).get(key)


def _set(ctx: ProcessContext, number: int, key: str, value: Any, ttl: Any = None) -> bool:
    seconds = None
    if ttl is not None:
        try:
            seconds = duration(ttl, "ttl")
        except FieldError as error:
            raise error.as_invalid() from None
    _store(ctx, number).set(key, value, seconds)
    return True


def _has(ctx: ProcessContext, number: int, key: str) -> bool:
    return _store(ctx, number).has(key)


def _delete(ctx: ProcessContext, number: int, key: str) -> bool:
    return _store(ctx, number).delete(key)


MODULE = LuaModule(
    "store",
    operations={"open": _open, "get": _get, "set": _set, "has": _has, "delete": _delete},
)
