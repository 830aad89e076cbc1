"""How a process starts others and calls functions: with its context, actor and scope (W5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core import operations
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.inherited import extend
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors._core.bounded import Bounded
    from trio_actors._core.host import Host
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process
    from trio_actors._core.spawn import SpawnTarget


class Starts:
    """Mixed into `ProcessContext`."""

    __slots__ = ()

    if TYPE_CHECKING:
        _guarded: bool

        @property
        def process(self) -> Process:
            """See ProcessContext."""
            ...

        @property
        def node(self) -> Node:
            """See ProcessContext."""
            ...

    async def spawn(
        self,
        target: SpawnTarget,
        *args: Any,
        host: Host | str | None = None,
        monitor: bool = False,
        link: bool = False,
        name: str | None = None,
        context: Mapping[str, Any] | None = None,
        actor: Any = None,
        scope: Any = None,
        messages: Sequence[tuple[Any, ...]] = (),
        ready: bool = False,
        mailbox: Bounded | None = None,
    ) -> Pid:
        """Starts a process with this one's context, actor and scope (§4, W5); returns its PID.

        Host: the caller's unless given. Monitor and link exist before its first step (E11).
        Checkpoint: always; a cancelled spawn has started nothing (PY7).
        """
        from trio_actors._core.spawn import spawn

        process = self.process
        host = process.host if host is None else host
        try:
            if self._guarded:
                self._require_spawn(target, host, monitor=monitor, link=link)
            inherited = self._inherit(context, actor, scope)
        except Exception:
            await trio.lowlevel.checkpoint()  # noqa: ASYNC120
            raise
        return await spawn(
            process.node,
            target,
            args,
            host=host,
            parent=process,
            monitor=monitor,
            link=link,
            name=name,
            inherited=inherited,
            messages=messages,
            ready=ready,
            mailbox=mailbox,
        )

    async def call(
        self,
        target: SpawnTarget,
        *args: Any,
        host: Host | str | None = None,
        context: Mapping[str, Any] | None = None,
        actor: Any = None,
        scope: Any = None,
    ) -> Any:
        """Spawns a process and waits for its end: its value, or its error raised (C1-C7).

        Checkpoint: always; a cancelled call leaves the process running (PY7).
        """
        from trio_actors._core.spawn import call, vet_call

        process = self.process
        host = process.host if host is None else host
        try:
            vet_call(target, host)
            if self._guarded:
                id = _id_of(process.node, target)
                operations.require(process.node, process, "process.call", id, id)
                place = host if isinstance(host, str) else host.id
                operations.require(process.node, process, "process.host", place, place)
            inherited = self._inherit(context, actor, scope)
        except Exception:
            await trio.lowlevel.checkpoint()  # noqa: ASYNC120
            raise
        return await call(process.node, target, args, host=host, inherited=inherited)

    async def call_function(self, id: str, *args: Any, **options: Any) -> Any:
        """Calls a function of the application with this process as its caller (functions.md §3).

        Options are call options, such as `timeout="5s"`. Checkpoint: always. The callee is
        cancelled with the caller (F11).
        """
        functions = self.node.functions
        if functions is None:
            await trio.lowlevel.checkpoint()
            raise make_error(ErrorKind.INVALID, "no functions service on this node")
        return await functions.call_from(self, id, args, options)

    def _inherit(self, context: Mapping[str, Any] | None, actor: Any, scope: Any) -> Any:
        process = self.process
        if context is None and actor is None and scope is None:
            return process.inherited
        if context is not None:  # PY6
            operations.require(process.node, process, "process.context", "context", "context")
        if actor is not None or scope is not None:
            operations.require(process.node, process, "process.security", "security", "security")
        return extend(process.inherited, values=context, actor=actor, scope=scope)

    def _require_spawn(
        self, target: SpawnTarget, host: Host | str, *, monitor: bool, link: bool
    ) -> None:
        process = self.process
        id = _id_of(process.node, target)
        place = host if isinstance(host, str) else host.id
        operations.require_spawn(process.node, process, id, place, monitor=monitor, link=link)


def _id_of(node: Node, target: SpawnTarget) -> str:
    if isinstance(target, str):
        return target
    from trio_actors._core.spawn import find_target

    return find_target(node, target).id
