"""`process.host` and `terminal.host`: where processes run.

Rules: P8, Z1, Z5, Z6 (fields), LD8 (lifecycle).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import attrs

from lua_bridge.modules.io import TERMINAL
from trio_actors import ErrorKind, make_error

from ..fields import Within, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from ..terminal import Terminal
from .lifecycle import Lifecycle, lifecycle_findings

if TYPE_CHECKING:
    from ..app import App


@attrs.frozen(slots=True)
class HostFields:
    """How many processes and threads a host has."""

    workers: Annotated[int, Within(1)] = setting(
        "threads that run Lua in parallel; 1 = on the Trio thread", default=1
    )
    max_processes: Annotated[int, Within(0)] = setting(
        "processes alive at one time; 0 = no limit", default=0
    )


@attrs.frozen(slots=True)
class ProcessHost:
    """A place where processes run."""

    host: HostFields = setting("limits", factory=HostFields)
    lifecycle: Lifecycle = setting("when the host runs", factory=Lifecycle)


@attrs.frozen(slots=True)
class TerminalHost:
    """The place of the one process that owns standard input and output."""

    hide_logs: bool = setting("no log lines on the terminal while the process runs", default=False)
    lifecycle: Lifecycle = setting("when the host runs", factory=Lifecycle)


class HostKind(BaseKind):
    """A host opens when its entry is added and stops in order when it is removed."""

    irrevocable = True

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The rules of its lifecycle."""
        return lifecycle_findings(definition, others)

    async def remove(self, app: App, definition: Definition) -> None:
        """Its processes are asked to end, then the host is gone."""
        await app.close_host(definition.id)


class ProcessHostKind(HostKind):
    """`process.host`."""

    model = ProcessHost
    doc = "A host: any number of processes run on it. An application may have several."

    async def add(self, app: App, definition: Definition) -> None:
        """The host is open when this returns."""
        fields: HostFields = definition.model.host
        await app.open_host(
            definition.id, workers=fields.workers, max_processes=fields.max_processes
        )

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """The limit changes at once; threads do not, because processes run on them."""
        if new.model.host.workers != old.model.host.workers:
            text = f"{new.id}: host.workers cannot change while the host runs"
            raise make_error(ErrorKind.INVALID, f"{text}; delete and create it")
        app.node.hosts[new.id].max_processes = new.model.host.max_processes


class TerminalHostKind(HostKind):
    """`terminal.host`."""

    model = TerminalHost
    doc = "A host for one process, the only place where the module `io` works (`run -x`)."

    async def add(self, app: App, definition: Definition) -> None:
        """The host is open, with room for one process."""
        terminal = Terminal(hide_logs=definition.model.hide_logs)
        await app.open_host(definition.id, terminal=terminal, max_processes=1)

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """What the terminal shows changes at once."""
        app.node.hosts[new.id].extensions[TERMINAL].hide_logs = new.model.hide_logs


PROCESS_HOST = ProcessHostKind()
TERMINAL_HOST = TerminalHostKind()
