"""Entries that hold code: processes, functions and libraries, in Lua and in Python.

Rules: functions.md section 2 (fields), E1, E2, DE1, DE6 (imports), DE9, DE11 (Python sources), PL3,
IC7 (pools and default options), C8, F27 (`meta.default_host`).
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Annotated, Any

import attrs

from lua_bridge import LuaTarget
from lua_bridge.modules import MODULES
from lua_bridge.syntax import syntax_error
from trio_actors._core.code import function_target
from trio_actors.fields import shown

from ..fields import HostRef, LibraryRef, Text, Within, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from ..lua_source import SOURCE, limits_of, script_of
from ..problems import listed
from ..python_source import SourceError, load_callable

if TYPE_CHECKING:
    from ..app import App

# Modules without declaration (E3); naming them under `modules` does no harm (DE8).
GLOBAL = ("process", "channel", "coroutine", "string", "table")
Modules = tuple[Text, ...]
Imports = dict[str, LibraryRef]


Amount = Annotated[int, Within(1)] | None


@attrs.frozen(slots=True)
class Limits:
    """What one script may use; what is not given has the bridge's default."""

    instructions: Amount = setting("instructions of one step (50 million)", default=None)
    memory: Amount = setting("bytes of the Lua state (128 MiB)", default=None)
    message_size: Amount = setting("bytes of one message (4 MiB)", default=None)
    coroutines: Amount = setting("coroutines alive (10,000)", default=None)
    channels: Amount = setting("channels alive (10,000)", default=None)
    timers: Amount = setting("timers alive (10,000)", default=None)
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
        """A syntax error (DE1, E6), and wrong names of modules and imports (DE6)."""
        wrong = syntax_error(definition.model.source)
        if wrong is not None:
            line, text = wrong
            file, first = definition.entry.text_source(SOURCE)
            yield Finding(
                SOURCE, "valid Lua", f"a syntax error: {text}", place=(file, first + line - 1)
            )
        known = tuple(sorted(MODULES))
        for index, name in enumerate(definition.model.modules):
            if ":" in name:
                expected = "the name of a built-in module (libraries belong under imports)"
                yield Finding(("modules", index), expected, shown(name))
            elif name not in MODULES and name not in GLOBAL:
                yield Finding(("modules", index), listed(known, limit=30), shown(name), known)
        for alias in definition.model.imports:
            if not alias:
                yield Finding(("imports", alias), "an alias that is not empty", shown(alias))


class ProcessLuaKind(LuaKind):
    """`process.lua`."""

    model = ProcessLua
    meta_model = ProcessMeta
    doc = "A process whose code is a Lua script."

    async def add(self, app: App, definition: Definition) -> None:
        """The id can be spawned when this returns."""
        script = script_of(definition, app.libraries)
        model: ProcessLua = definition.model
        target = LuaTarget(script, model.method, limits_of(model.limits))
        app.code.targets[definition.id] = target

    async def remove(self, app: App, definition: Definition) -> None:
        """The id is unknown when this returns; running processes go on."""
        del app.code.targets[definition.id]


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

    async def add(self, app: App, definition: Definition) -> None:
        """Other entries can import it when this returns."""
        app.libraries[definition.id] = script_of(definition, app.libraries)

    async def remove(self, app: App, definition: Definition) -> None:
        """Nothing imports it any more; what has it keeps it."""
        del app.libraries[definition.id]


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
