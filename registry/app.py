"""A running application: the one place that puts the packages together.

Theory. `open_app` reads and checks everything first; a wrong application starts nothing (I10). Then
entries are added one by one in the order of their references, each by its kind. The kinds reach the
running parts through `App`: the node, the hosts, the code by id.

What runs lives in a nursery inside a shielded scope, in a task of an unshielded nursery around the
user's block (the same shape as a host, trio_actors/_core/scopes.py): however the block is left, by
its end, an exception or a cancellation from outside, the application stops in order, within a
limit. That task opens and stops everything, because Ctrl-C reaches the task of the block at any of
its checkpoints, shielded or not; nothing may hang on that one getting further.

Rules: design.md §3 (`open_app`), I3 (30 s), I10, I11 (order of the stop), LD6, Z3, E38.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs
import trio

from lua_bridge import Script
from lua_bridge.modules.io import TERMINAL
from supervision import ServiceManager, Snapshot, snapshot
from supervision.snapshot import EXITS
from trio_actors import Host, Node, Pid, Target, open_node
from trio_actors._core.scopes import reraise
from trio_actors.funcs import root_service
from trio_actors.functions import Functions
from trio_actors.security import Policy

from .definitions import Application, read_application
from .history_file import HistoryFile
from .kind import Definition, Kind
from .live import SYSTEM, Registry
from .terminal import Terminal

STOP_LIMIT = 30.0  # seconds (I3)
HOST_DRAIN = 10.0  # seconds (Z3)
INNER_HOST = "node:edges"
LUA_HOST = "node:functions"  # the Lua states of functions are there, and no process

T = TypeVar("T")


@attrs.define(slots=True, eq=False)
class Code:
    """The code that registry ids name: what the node asks when an id is spawned."""

    targets: dict[str, Target] = attrs.field(factory=dict)

    def find(self, id: str) -> Target | None:
        """The definition of this id, or None."""
        return self.targets.get(id)


@attrs.define(slots=True, eq=False)
class Opening(Generic[T]):
    """Something that a task opens for another one: it is there, or its error, and when it ended."""

    value: T | None = None
    error: BaseException | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)
    # Whoever opened it needs it no more.
    left: trio.Event = attrs.field(factory=trio.Event)
    _is_open: bool = False
    _settled: trio.Event = attrs.field(factory=trio.Event)

    def opened(self, value: T) -> None:
        """It is there."""
        self.value, self._is_open = value, True
        self._settled.set()

    async def wait(self) -> None:
        """Returns when it is open, also when cancelled. Raises: what went wrong."""
        with trio.CancelScope(shield=True):
            await self._settled.wait()
        if self.error is not None:
            raise self.error

    def __enter__(self) -> None:
        """The block opens it and keeps it open."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self.ended.set()
        self._settled.set()
        mine = isinstance(error, Exception) and not self._is_open
        if mine:
            self.error = error
        return mine  # told to who waits, by nobody else


@attrs.define(slots=True, eq=False)
class App:
    """A running application; made by `open_app`.

    Attributes:
        node: the kernel's node: PIDs, names, messages.
        application: where the application lies, and the definitions it started with.
        definitions: the definitions in force now, by id.
        code: targets by registry id; kinds add to it.
        supervisor: the services: states, start, stop.
        functions: the functions service: calls, pools, interceptors.
        libraries: scripts of `library.lua` entries by id.
    """

    node: Node
    application: Application
    nursery: trio.Nursery
    supervisor: ServiceManager
    functions: Functions
    code: Code = attrs.field(factory=Code)
    libraries: dict[str, Script] = attrs.field(factory=dict)
    policies: dict[str, Policy] = attrs.field(factory=dict)
    definitions: dict[str, Definition] = attrs.field(factory=dict)
    # Everything was added.
    _complete: bool = False
    # Everything was added and what starts by itself was started.
    started: bool = False
    # What kinds close when services, hosts and functions have ended, the newest first.
    at_end: list[Callable[[], object]] = attrs.field(factory=list)
    _host_ends: dict[str, trio.Event] = attrs.field(factory=dict)

    # -- for users

    async def call(self, id: str, *args: Any) -> Any:
        """Call a function, or a process with a default host (C8). Checkpoint: always.

        Raises: the callee's error; ProcessNotFound for an id that cannot be called.
        """
        return await self.functions.call(id, *args)

    async def spawn(self, id: str, host: str, *args: Any, **options: Any) -> Pid:
        """Start a process on a host and return its PID; options as `Host.spawn`."""
        place = self.node.hosts.get(host)
        if place is None:
            from trio_actors._core.spawn import find_host

            place = find_host(self.node, host)
        return await place.spawn(id, *args, **options)

    def terminal(self) -> Host:
        """The only terminal host (I16). Raises: ValueError if there is none, or more than one."""
        ids = [d.id for d in self.definitions.values() if d.kind == "terminal.host"]
        if len(ids) != 1:
            found = f"{len(ids)}: {', '.join(sorted(ids))}" if ids else "none"
            raise ValueError(f"expected exactly one entry of kind terminal.host, got {found}")
        return self.node.hosts[ids[0]]

    def snapshot(self, *, exits: int = EXITS, limit: int | None = None) -> Snapshot:
        """What is there now (SU41, SU42); see `supervision.snapshot`."""
        return snapshot(self.node, self.supervisor, exits=exits, limit=limit)

    # -- for kinds

    def all_definitions(self) -> Mapping[str, Definition]:
        """The definitions that there are, or that there will be when the start is over."""
        return self.definitions if self._complete else self.application.definitions

    def kind_of(self, definition: Definition) -> Kind:
        """The kind of a definition that was checked."""
        kind = self.application.catalog.get(definition.kind)
        assert kind is not None, definition.kind
        return kind

    async def open_host(self, id: str, *, terminal: Terminal | None = None, **options: Any) -> None:
        """Open a host that lives until `close_host` or the end of the application."""
        opening = Opening[None]()
        # Not start(): Ctrl-C during it can hang.
        self.nursery.start_soon(self._run_host, id, options, terminal, opening)
        try:
            await opening.wait()
        finally:
            if opening.error is None:  # interrupted: it opens all the same
                self._host_ends[id] = opening.ended

    async def lua_host(self) -> Host:
        """The host whose runner steps Lua functions, opened when the first one needs it."""
        return await self._host(LUA_HOST)

    async def inner_host(self) -> Host:
        """The host of the framework's own processes (consumers, jobs), opened when needed."""
        return await self._host(INNER_HOST)

    async def _host(self, id: str) -> Host:
        if id not in self.node.hosts:
            await self.open_host(id)
        return self.node.hosts[id]

    async def close_host(self, id: str, drain: float | str | None = None) -> None:
        """Stop a host in order (Z3) and return when nothing of it is left."""
        host = self.node.hosts.get(id)
        if host is not None:
            host.request_stop(drain)
        if id in self._host_ends:
            await self._host_ends[id].wait()
            self._host_ends.pop(id, None)

    @trio.lowlevel.enable_ki_protection
    async def _run_host(
        self, id: str, options: dict[str, Any], terminal: Terminal | None, opening: Opening[None]
    ) -> None:
        with opening:
            async with self.node.open_host(id, drain=HOST_DRAIN, **options) as host:
                if terminal is not None:
                    host.extensions[TERMINAL] = terminal
                opening.opened(None)
                await host.wait_stop_requested()

    # -- start and stop

    async def start(self, history: Path | None = None) -> None:
        """Add every definition in order of creation, then start the services."""
        self.node.add_source(self.code)
        self.node.extensions[SYSTEM] = Registry(self)
        for definition in self.application.definitions.values():
            await self.kind_of(definition).add(self, definition)
            self.definitions[definition.id] = definition
        self._complete = True
        if history is not None:
            await self.registry.resume(HistoryFile(history))
        await self.supervisor.start()
        self.started = True

    @property
    def registry(self) -> Registry:
        """The entries and their versions; changes of them while the application runs."""
        registry: Registry = self.node.extensions[SYSTEM]
        return registry

    async def stop(self, limit: float = STOP_LIMIT) -> None:
        """Stop in order: services, then hosts, the newest first; after `limit` all is ended."""
        with trio.move_on_after(limit) as scope:
            await self.supervisor.stop()
            for id in reversed([id for id in self._host_ends if id != LUA_HOST]):
                await self.close_host(id)
            # Last, because whatever stops may still call functions.
            await self.functions.aclose()
            await self.close_host(LUA_HOST)
        if scope.cancelled_caught:
            self.abort()
            for ended in list(self._host_ends.values()):
                await ended.wait()
        self.supervisor.finish()
        for close in reversed(self.at_end):
            close()

    def abort(self) -> None:
        """End everything at once, without asking (I11, the second signal)."""
        for host in self.node.hosts.values():
            host.request_stop(0)
            host.abort()


@asynccontextmanager
async def open_app(
    path: str | os.PathLike[str] = ".",
    *,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    environ: Mapping[str, str] | None = None,
    name: str = "local",
    strict: bool = False,
    stop_limit: float = STOP_LIMIT,
    history: str | os.PathLike[str] | None = None,
) -> AsyncIterator[App]:
    """`async with open_app("examples/x") as app`: read, check, start; leaving stops in order.

    Args:
        path: a directory or one YAML file.
        overrides: `{"ns:entry:field": value}`, or texts `ns:entry:field=value` (I12).
        name: the node's name, printed in PIDs unless it is "local".
        strict: deny what is checked when actor or scope is missing (A7).
        stop_limit: seconds after which an orderly stop becomes a forced one (I3).
        history: an SQLite file that keeps the versions of the registry from run to run.

    Raises:
        LoadError: everything that is wrong with the application; nothing was started.
        ValueError: a malformed override.
    """
    application = read_application(path, overrides, environ)
    async with start_application(
        application, name=name, strict=strict, stop_limit=stop_limit, history=history
    ) as app:
        yield app


@asynccontextmanager
async def start_application(
    application: Application,
    *,
    name: str = "local",
    strict: bool = False,
    stop_limit: float = STOP_LIMIT,
    history: str | os.PathLike[str] | None = None,
    opened: Callable[[App], None] | None = None,
) -> AsyncIterator[App]:
    """Start an application that was read and checked; see `open_app`.

    Args:
        opened: is given the application before anything of it is started, to look at it.
    """
    opening = Opening[App]()
    with application.importable():
        try:
            async with trio.open_nursery() as around:
                try:
                    around.start_soon(_run_app, application, name, strict, stop_limit, opening)
                    await opening.wait()
                    app = opening.value
                    assert app is not None
                    if opened is not None:
                        opened(app)
                    token = root_service.set(app.functions)
                    try:
                        await app.start(None if history is None else Path(history))
                        yield app
                    finally:
                        root_service.reset(token)
                finally:
                    opening.left.set()
        except BaseExceptionGroup as group:
            reraise(group)


@trio.lowlevel.enable_ki_protection
async def _run_app(
    application: Application, name: str, strict: bool, stop_limit: float, opening: Opening[App]
) -> None:
    try:
        with opening, trio.CancelScope(shield=True):
            async with open_node(name, strict=strict) as node, trio.open_nursery() as nursery:
                functions = Functions(node)
                app = App(node, application, nursery, ServiceManager(node, nursery), functions)
                app.policies = functions.security.policies
                opening.opened(app)
                await opening.left.wait()
                await app.stop(stop_limit)
    except BaseExceptionGroup as group:
        reraise(group)
