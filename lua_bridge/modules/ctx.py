"""The Lua module `ctx`: the context values of the running frame.  Rules CX1-CX9.

Values come from the kernel's context, which nobody can change; each read crosses by value, so a
script gets a new table every time.
"""

from __future__ import annotations

from typing import Any

from lua_bridge.modules import LuaModule
from trio_actors import ErrorKind, ProcessContext, make_error


def _get(ctx: ProcessContext, key: str) -> Any:
    try:
        return ctx.context[key]
    except KeyError:
        raise make_error(ErrorKind.NOT_FOUND, f"key not found: {key}") from None


def _all(ctx: ProcessContext) -> dict[str, Any]:
    return dict(ctx.context)


MODULE = LuaModule("ctx", operations={"get": _get, "all": _all})
