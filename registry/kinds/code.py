"""Entries that hold code: processes and libraries, in Lua and in Python; the base of functions.

Rules: functions.md section 2 (fields), E1, E2, DE1, DE6 (imports), DE9, DE11 (Python sources), C8,
F27 (`meta.default_host`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Annotated, Any

import attrs

from lua_bridge import LuaTarget
from lua_bridge.modules import offered
from lua_bridge.syntax import syntax_error
from trio_actors import Event, EventKind, Target
from trio_actors._core.function import function_target
from trio_actors.fields import FieldError, shown
from trio_actors.functions.options import parse_options

from ..fields import HostRef, LibraryRef, Text, Within, setting
from ..ids import resolve
from ..kind import BaseKind, Definition, Definitions, Finding
from ..lua_source import SOURCE, limits_of, script_of
from ..problems import listed
from ..python_source import SourceError, load_callable
from ..structure import split_path

if TYPE_CHECKING:
    from ..app import App

# Modules without declaration (E3); naming them under `modules` does no harm (DE8).
GLOBAL = ("process", "channel", "coroutine", "string", "table")
FILE_NAME = re.compile(r"[\w./-]+\.lua")  # no script is such a text
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
class ProcessMeta:
    """The keys of `meta` that a process knows."""

    default_host: HostRef | None = setting(
        "where it runs when it is called as a function", default=None
    )
    options: dict[str, Any] | None = setting("default call options", default=None)


def callable_on(definition: Definition) -> str | None:
    """The host on which a process runs when it is called as a function. Rule: C8."""
    meta: ProcessMeta = definition.meta
    written = (meta.options or {}).get("default_host")
    if meta.default_host is None and isinstance(written, str):
        return resolve(written, definition.entry.namespace)
    return meta.default_host


def option_findings(definition: Definition, others: Definitions) -> Iterable[Finding]:
    """What is wrong with `meta.options`. Rules: IC7, C8."""
    options = definition.entry.meta.get("options")
    if isinstance(options, Mapping) and "default_host" in options:
        options = dict(options)
        host = options.pop("default_host")
        ids = [id for id, other in others.items() if other.kind == "process.host"]
        if not isinstance(host, str) or resolve(host, definition.entry.namespace) not in ids:
            where = ("meta", "options", "default_host")
            yield Finding(where, "the id of a process.host", shown(host), tuple(ids))
    try:
        parse_options(options, "meta.options")
    except FieldError as error:
        yield of_field_error(error)


def of_field_error(error: FieldError) -> Finding:
    """A mistake found by a parser of the packages below."""
    return Finding(split_path(error.path), error.expected, error.found, error.choices)


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
            got = f"a syntax error: {text}"
            if FILE_NAME.fullmatch(definition.model.source):
                got += f' (the text is taken as code; a file is "file://{definition.model.source}")'
            yield Finding(SOURCE, "valid Lua", got, place=(file, first + line - 1))
        known = offered()
        for index, name in enumerate(definition.model.modules):
            if ":" in name:
                expected = "the name of a built-in module (libraries belong under imports)"
                yield Finding(("modules", index), expected, shown(name))
            elif name not in known and name not in GLOBAL:
                yield Finding(("modules", index), listed(known, limit=30), shown(name), known)
        for alias in definition.model.imports:
            if not alias:
                yield Finding(("imports", alias), "an alias that is not empty", shown(alias))

    def affected_by(self, definition: Definition, changed: Collection[str]) -> bool:
        """Whether a library that it imports has changed. Rule: PL16."""
        return any(library in changed for library in definition.model.imports.values())


def add_process(app: App, definition: Definition, target: Target) -> None:
    """The id can be spawned, and called if it has a default host."""
    app.code.targets[definition.id] = target
    host = callable_on(definition)
    if host is not None:
        options = {k: v for k, v in (definition.meta.options or {}).items() if k != "default_host"}
        meta = {**definition.entry.meta, "options": options}
        app.functions.install_process(definition.id, host, meta=meta)
    elif app.functions.has(definition.id):
        app.functions.remove(definition.id)


def tell_outdated(app: App, id: str) -> None:
    """OUTDATED to the processes that asked for it and still run older code of this id."""
    node, current = app.node, app.code.targets.get(id)
    for process in list(node.processes.values()):
        if process.upgradable and process.id == id and process.target is not current:
            event = Event(EventKind.OUTDATED, node.control, node.wall_time())
            node.post(node.control, process, event)


class ProcessKind(BaseKind):
    """What the kinds of processes have in common, whatever the language; `add` is theirs."""

    meta_model = ProcessMeta

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """New processes run the new code; running ones go on with theirs until they upgrade."""
        await self.add(app, new)

    def committed(self, app: App, old: Definition, new: Definition) -> None:
        """Running processes that want to know are told."""
        tell_outdated(app, new.id)

    async def remove(self, app: App, definition: Definition) -> None:
        """The id is unknown when this returns; running processes go on."""
        del app.code.targets[definition.id]
        if app.functions.has(definition.id):
            app.functions.remove(definition.id)


class ProcessLuaKind(ProcessKind, LuaKind):
    """`process.lua`."""

    model = ProcessLua
    doc = "A process whose code is a Lua script."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The script, and the default options of calls."""
        yield from super().findings(definition, others)
        yield from option_findings(definition, others)

    async def add(self, app: App, definition: Definition) -> None:
        """The id can be spawned when this returns."""
        script = script_of(definition, app.libraries)
        model: ProcessLua = definition.model
        target = LuaTarget(script, model.method, limits_of(model.limits))
        add_process(app, definition, target)


class ProcessPyKind(ProcessKind, PythonKind):
    """`process.py`."""

    model = ProcessPy
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
        yield from option_findings(definition, others)

    async def add(self, app: App, definition: Definition) -> None:
        """The id can be spawned when this returns."""
        function = load_callable(definition.model.source)
        add_process(app, definition, function_target(function, id=definition.id))


class LibraryLuaKind(LuaKind):
    """`library.lua`."""

    model = LibraryLua
    doc = "Lua code that other entries import; evaluated anew in every process."

    async def add(self, app: App, definition: Definition) -> None:
        """Other entries can import it when this returns."""
        app.libraries[definition.id] = script_of(definition, app.libraries)

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """What imports it is made anew after it."""
        await self.add(app, new)

    async def remove(self, app: App, definition: Definition) -> None:
        """Nothing imports it any more; what has it keeps it."""
        del app.libraries[definition.id]


PROCESS_LUA = ProcessLuaKind()
PROCESS_PY = ProcessPyKind()
LIBRARY_LUA = LibraryLuaKind()
