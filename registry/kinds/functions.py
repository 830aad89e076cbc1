"""`function.lua`, `function.py` and `function.interceptor`.

Rules: functions.md section 2 (fields), DE1, DE9-DE11, PL3, IC7 (pools and options are checked at
the load), PL16, PL17 (an update puts a new version in place), IC11, IC12 (interceptors).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import attrs

from lua_bridge import LuaCallee
from trio_actors.fields import FieldError
from trio_actors.functions import Callee, PythonCallee, parse_pool
from trio_actors.functions.options import parse_options

from ..fields import Text, Texts, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from ..lua_source import limits_of, script_of
from ..python_source import load_callable
from .code import Imports, Limits, LuaKind, Modules, PythonKind, of_field_error

if TYPE_CHECKING:
    from ..app import App


@attrs.frozen(slots=True)
class FunctionLua:
    """A function written in Lua."""

    source: Text = setting("the script, or `file://path`")
    method: Text = setting("the function that is called")
    modules: Modules = setting("built-in modules the script uses", default=())
    imports: Imports = setting("alias: library", factory=dict)
    pool: Any = setting("how many calls run at once", default=None)
    limits: Limits = setting("what the script may use", factory=Limits)


@attrs.frozen(slots=True)
class FunctionPy:
    """A function written in Python."""

    source: Text = setting("`package.module:callable`, `def` or `async def`")
    pool: Any = setting("how many calls run at once", default=None)


@attrs.frozen(slots=True)
class FunctionInterceptor:
    """Python code around calls."""

    source: Text = setting("`package.module:callable`, an `async def interceptor(call, next)`")
    order: int = setting("the lowest is the outermost", default=50)
    match: Texts = setting("globs of function ids", default=("*",))


class FunctionKind(BaseKind, ABC):
    """What the kinds of functions have in common, whatever the language; `callee` is theirs."""

    @abstractmethod
    async def callee(self, app: App, definition: Definition) -> Callee:
        """What runs a call."""

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The source, the pool and the options."""
        yield from super().findings(definition, others)
        for parse, value, path in (
            (parse_pool, definition.model.pool, "pool"),
            (parse_options, definition.entry.meta.get("options"), "meta.options"),
        ):
            try:
                parse(value, path)
            except FieldError as error:
                yield of_field_error(error)

    async def add(self, app: App, definition: Definition) -> None:
        """The function can be called when this returns."""
        callee = await self.callee(app, definition)
        pool, meta = definition.model.pool, definition.entry.meta
        app.functions.install(definition.id, callee, pool=pool, meta=meta)

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """New calls run the new version, accepted ones finish on the old one. Rule: PL16."""
        await self.add(app, new)

    async def remove(self, app: App, definition: Definition) -> None:
        """Later calls find nothing, accepted ones finish. Rule: PL18."""
        app.functions.remove(definition.id)


class FunctionPyKind(FunctionKind, PythonKind):
    """`function.py`."""

    model = FunctionPy
    doc = "A function whose code is a Python callable."

    async def callee(self, app: App, definition: Definition) -> PythonCallee:
        """The callable."""
        return PythonCallee(load_callable(definition.model.source))


class InterceptorKind(PythonKind):
    """`function.interceptor`."""

    model = FunctionInterceptor
    doc = "Python code that runs around calls of functions; its name is its id."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The source has to be an async function."""
        found = list(super().findings(definition, others))
        if not found and not iscoroutinefunction(load_callable(definition.model.source)):
            expected = "an async def interceptor(call, next)"
            found.append(Finding(("source",), expected, "a plain function"))
        return found

    async def add(self, app: App, definition: Definition) -> None:
        """Later calls pass it."""
        model: FunctionInterceptor = definition.model
        app.functions.add_interceptor(
            definition.id, load_callable(model.source), order=model.order, match=model.match
        )

    async def remove(self, app: App, definition: Definition) -> None:
        """Later calls do not pass it."""
        app.functions.remove_interceptor(definition.id)


class FunctionLuaKind(FunctionKind, LuaKind):
    """`function.lua`."""

    model = FunctionLua
    doc = "A function whose code is a Lua script."

    async def callee(self, app: App, definition: Definition) -> LuaCallee:
        """The script, on the host that steps Lua functions."""
        model: FunctionLua = definition.model
        script = script_of(definition, app.libraries)
        return LuaCallee(await app.lua_host(), script, model.method, limits_of(model.limits))


FUNCTION_LUA: BaseKind = FunctionLuaKind()
FUNCTION_PY: BaseKind = FunctionPyKind()
FUNCTION_INTERCEPTOR: BaseKind = InterceptorKind()
