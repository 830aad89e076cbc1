"""Entries that hold code: processes, functions and libraries, in Lua and in Python.

Rules: functions.md section 2 (fields), E1, E2, DE1, DE6 (imports), DE9, DE11 (Python sources), PL3,
IC7 (pools and default options), C8, F27 (`meta.default_host`).
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Annotated, Any

import attrs

from trio_actors._core.code import function_target
from trio_actors.fields import shown

from ..fields import HostRef, LibraryRef, Text, Within, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from ..python_source import SourceError, load_callable

if TYPE_CHECKING:
    from ..app import App

Modules = tuple[Text, ...]
Imports = dict[str, LibraryRef]


@attrs.frozen(slots=True)
class Limits:
    """What one script may use."""

    instructions: Annotated[int, Within(1)] | None = setting(
        "instructions of one step", default=None
    )
    memory: Annotated[int, Within(1)] | None = setting("bytes of the process", default=None)
    message_size: Annotated[int, Within(1)] | None = setting("bytes of one message", default=None)
    isolated: bool = setting("a Lua state of its own", default=False)


@attrs.frozen(slots=True)
class ProcessLua:
    """A process written in Lua."""

    source: Text = setting("the script, or `file://path`")
    method: Text = setting("the function that runs", default="main")
    modules: Modules = setting("built-in modules the script uses", default=())
    imports: Imports = setting("alias: library", factory=dict)
    limits: Limits = setting("what the script may use", factory=Limits)


@attrs.frozen(slots=True)
class ProcessPy:
    """A process written in Python."""

    source: Text = setting("`package.module:callable`, an `async def main(ctx, *args)`")


@attrs.frozen(slots=True)
class LibraryLua:
    """Lua code that scripts import."""

    source: Text = setting("the script, or `file://path`")
    modules: Modules = setting("built-in modules the script uses", default=())
    imports: Imports = setting("alias: library", factory=dict)


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
class ProcessMeta:
    """The keys of `meta` that a process knows."""

    default_host: HostRef | None = setting(
        "where it runs when it is called as a function", default=None
    )


class PythonKind(BaseKind):
    """A kind whose `source` is a Python callable, imported at the load. Rule: DE9."""

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The source has to be there and callable."""
        source: str = definition.model.source
        try:
            load_callable(source)
        except SourceError as error:
            yield Finding(("source",), error.expected, error.got, error.choices)


class LuaKind(BaseKind):
    """A kind whose `source` is a Lua chunk."""

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """Names of modules and imports. Rule: DE6."""
        for index, name in enumerate(definition.model.modules):
            if ":" in name:
                expected = "the name of a built-in module (libraries belong under imports)"
                yield Finding(("modules", index), expected, shown(name))
        for alias in definition.model.imports:
            if not alias:
                yield Finding(("imports", alias), "an alias that is not empty", shown(alias))


class ProcessLuaKind(LuaKind):
    """`process.lua`."""

    model = ProcessLua
    meta_model = ProcessMeta
    doc = "A process whose code is a Lua script."


class ProcessPyKind(PythonKind):
    """`process.py`."""

    model = ProcessPy
    meta_model = ProcessMeta
    doc = "A process whose code is a Python coroutine function."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The source has to be an `async def main(ctx, *args)`."""
        found = list(super().findings(definition, others))
        if not found:
            function = load_callable(definition.model.source)
            try:
                function_target(function, id=definition.id)
            except TypeError as error:
                got = "a plain function" if not iscoroutinefunction(function) else str(error)
                yield Finding(("source",), "an async def main(ctx, *args)", got)
        yield from found

    async def add(self, app: App, definition: Definition) -> None:
        """The id can be spawned when this returns."""
        function = load_callable(definition.model.source)
        app.code.targets[definition.id] = function_target(function, id=definition.id)

    async def remove(self, app: App, definition: Definition) -> None:
        """The id is unknown when this returns; running processes go on."""
        del app.code.targets[definition.id]


class LibraryLuaKind(LuaKind):
    """`library.lua`."""

    model = LibraryLua
    doc = "Lua code that other entries import; evaluated anew in every process."


class FunctionLuaKind(LuaKind):
    """`function.lua`."""

    model = FunctionLua
    doc = "A function whose code is a Lua script."


class FunctionPyKind(PythonKind):
    """`function.py`."""

    model = FunctionPy
    doc = "A function whose code is a Python callable."


PROCESS_LUA = ProcessLuaKind()
PROCESS_PY = ProcessPyKind()
LIBRARY_LUA = LibraryLuaKind()
FUNCTION_LUA = FunctionLuaKind()
FUNCTION_PY = FunctionPyKind()
