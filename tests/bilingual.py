"""Functions and their callers in Python and Lua, so that one scenario runs with every pair.

A bench is a node with a Lua host. `install` puts one of a few known callees on it, in the language
that is asked for; `ask` lets a process of a language call a function and says what came of it.
"""

# ruff: noqa: E501  (Lua in strings)
from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

import trio_actors
from lua_bridge import LuaCallee, LuaTarget, Script
from trio_actors import (
    ErrorKind,
    Host,
    ProcessContext,
    ProcessError,
    funcs,
    make_error,
    open_node,
)
from trio_actors.functions import Functions, PythonCallee, open_functions
from trio_actors.security import Actor, Scope

MODULES = ("funcs", "contract", "security", "store", "ctx", "time", "json", "events", "queue")


@attrs.frozen
class Outcome:
    """What a call gave: a value, or an error's kind, text and retryability."""

    value: Any = None
    kind: str | None = None
    text: str = ""
    retryable: bool | None = None


class Bench:
    """A node with a Lua host, on which functions of both languages are installed."""

    def __init__(self, functions: Functions, host: Host) -> None:
        self.functions = functions
        self.host = host
        # What callees noted by `app:mark`: (virtual time since the start, text).
        self.marks: list[tuple[float, str]] = []
        self._start = trio.current_time()
        self.py("app:mark", self._mark, {"max_size": 1000})

    def _mark(self, text: str) -> None:
        self.marks.append((round(trio.current_time() - self._start, 4), text))

    def noted(self) -> list[str]:
        """The marks without their times."""
        return [text for _, text in self.marks]

    def lua(
        self, id: str, source: str, method: str = "main", pool: Any = None, meta: Any = None
    ) -> None:
        script = Script(id, source, modules=MODULES)
        callee = LuaCallee(self.host, script, method)
        self.functions.install(id, callee, pool=pool, meta=meta)

    def py(self, id: str, function: Any, pool: Any = None, meta: Any = None) -> None:
        self.functions.install(id, PythonCallee(function), pool=pool, meta=meta)

    def install(self, language: str, *names: str, pool: Any = None, meta: Any = None) -> None:
        """The callees of these names as `app:<name>`."""
        for name in names:
            if language == "python":
                self.py(f"app:{name}", PYTHON[name], pool, meta)
            else:
                self.lua(f"app:{name}", LUA[name], pool=pool, meta=meta)

    async def run(self, source: str, *args: Any, **options: Any) -> Any:
        """A Lua process with this body, its exit value."""
        target = LuaTarget(Script("t:main", f"return function(...) {source} end", modules=MODULES))
        pid = await self.host.spawn(target, *args, **options)
        return (await self.functions.node.wait(pid)).unwrap()

    async def start(self, language: str, id: str, *args: Any, **options: Any) -> str:
        """A process of this language that makes one call; its exit value is what `ask` reads."""
        extra = options.pop("options", None)
        code: Any = LUA_CALLER if language == "lua" else python_caller
        return await self.host.spawn(code, extra or {}, id, list(args), **options)

    async def ask(
        self,
        language: str,
        id: str,
        *args: Any,
        options: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
        scope: Scope | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """What a process of this language gets when it calls a function with call options."""
        pid = await self.start(
            language, id, *args, options=options, actor=actor, scope=scope, context=context
        )
        said: dict[str, Any] = (await self.functions.node.wait(pid)).unwrap()
        retryable = {"true": True, "false": False}.get(said.get("retryable", ""))
        return Outcome(said.get("value"), said.get("kind"), said.get("text", ""), retryable)


async def python_caller(
    ctx: ProcessContext, options: dict[str, Any], id: str, args: list[Any]
) -> dict[str, Any]:
    executor = funcs.new().with_options(options) if options else funcs.new()
    try:
        return {"value": await executor.call(id, *args)}
    except ProcessError as error:
        retryable = str(error.retryable).lower()
        return {"kind": error.kind.value, "text": str(error), "retryable": retryable}


LUA_CALLER = LuaTarget(
    Script(
        "t:caller",
        """return function(options, id, args)
          local exec = funcs.new()
          if next(options) then exec = exec:with_options(options) end
          local value, err = exec:call(id, table.unpack(args))
          if err then
            return {kind = err:kind(), text = tostring(err), retryable = tostring(err:retryable())}
          end
          return {value = value}
        end""",
        modules=MODULES,
    )
)


@asynccontextmanager
async def opened(*, strict: bool = False) -> AsyncIterator[Bench]:
    """A bench for the block."""
    async with open_node(strict=strict) as node, open_functions(node) as functions:
        async with node.open_host("t:lua", drain=0) as host:
            yield Bench(functions, host)


# -- the callees, in both languages


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


async def fail(how: str) -> None:
    """Fails by a plain error, or by a structured one."""
    if how == "text":
        raise ValueError("x")
    raise make_error(ErrorKind.CONFLICT, "x", retryable=True, details={"n": 1})


async def sleeper(seconds: float) -> str:
    """Takes this long."""
    await trio.sleep(seconds)
    return "slept"


async def noisy(text: str, seconds: float) -> str:
    """Notes its beginning, takes this long, notes its end."""
    await funcs.call("app:mark", f"{text}>")
    await trio.sleep(seconds)
    await funcs.call("app:mark", f"<{text}")
    return text


async def moody(kind: str) -> None:
    """Notes that it ran and fails: `error` by a plain error, else with this kind."""
    await funcs.call("app:mark", kind)
    if kind == "error":
        raise RuntimeError("x")
    raise make_error(ErrorKind(kind), "x", retryable=None)


async def ctx_all() -> dict[str, Any]:
    """The context values, actor and id of its frame."""
    ctx = trio_actors.current()
    return {**ctx.context, "actor": ctx.actor.id if ctx.actor else None, "id": ctx.id}


async def pid() -> str:
    """The PID of this invocation."""
    return trio_actors.current().pid


async def outer(id: str, *args: Any) -> Any:
    """Calls another function and gives its value."""
    return await funcs.call(id, *args)


PYTHON = {
    "add": add,
    "fail": fail,
    "sleeper": sleeper,
    "noisy": noisy,
    "moody": moody,
    "ctx": ctx_all,
    "pid": pid,
    "outer": outer,
}
LUA = {
    "add": "return function(a, b) return a + b end",
    "fail": """return function(how)
        if how == "text" then return nil, "x" end
        return nil, errors.new{message = "x", kind = "Conflict", retryable = true, details = {n = 1}}
    end""",
    "sleeper": """return function(seconds) time.sleep(math.floor(seconds * 1e9)) return "slept" end""",
    "noisy": """return function(text, seconds)
        funcs.call("app:mark", text .. ">")
        time.sleep(math.floor(seconds * 1e9))
        funcs.call("app:mark", "<" .. text)
        return text
    end""",
    "moody": """return function(kind)
        funcs.call("app:mark", kind)
        if kind == "error" then error("x") end
        error(errors.new{message = "x", kind = kind})
    end""",
    "ctx": """return function()
        local all = ctx.all()
        local actor = security.actor()
        all.actor = actor and actor:id()
        all.id = process.id()
        return all
    end""",
    "pid": "return function() return process.pid() end",
    "outer": """return function(id, ...)
        local value, err = funcs.call(id, ...)
        return value, err
    end""",
}
