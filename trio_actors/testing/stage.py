"""What runs of one exploration share: one nursery, in which each run's node and hosts live.

The theory: opening a node and a host the ordinary way costs four nurseries and about ten turns of
Trio's loop, more than twelve messages do. Runs are made one after another and each waits until all
its processes have ended, so they can use the same nursery. What a nursery's end would do at the end
of a node or host is done here: system tasks are cancelled, one scope each, and waited for; what
still does not end (a zombie) takes the nursery with it, and the next run gets a new one.

Rejected: using one node again. PIDs, names and memories of exits would have to be reset one by one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.exit import terminated
from trio_actors._core.host import Host, HostStatistics
from trio_actors._core.lifecycle import HostState
from trio_actors._core.node import Node
from trio_actors._core.scopes import reraise
from trio_actors.testing.clock import SimClock
from trio_actors.testing.determinism import SimRandom
from trio_actors.testing.footprint import COUNT, READ, WRITE, Footprint, RanInstrument
from trio_actors.testing.labels import Labels

Failed = Callable[[BaseException], None]


class Stage:
    """The clock and the nursery of the run under way; made by `open_stage`."""

    def __init__(self, outer: trio.Nursery, clock: SimClock) -> None:
        self.clock = clock
        self.rng = SimRandom()  # of the run's own node
        self._ran: RanInstrument | None = None
        self._outer = outer
        self._nursery: trio.Nursery | None = None
        self._gone = trio.Event()

    async def nursery(self) -> trio.Nursery:
        """Where a run's tasks go; empty. Checkpoint: when a new one has to be opened."""
        if self._nursery is None:
            self._nursery = await self._outer.start(self._keep)
        return self._nursery

    def observe(self, footprint: Footprint, labels: Labels) -> None:
        """The tasks that run from now on are noted in `footprint`, if it is taken.

        Called by the task that makes the runs. Runs that take footprints come one after another,
        so the instrument stays until one comes that does not.
        """
        if self._ran is None and footprint.taken:
            self._ran = RanInstrument(trio.lowlevel.current_task())
            trio.lowlevel.add_instrument(self._ran)
        if self._ran is not None:
            self._ran.footprint, self._ran.labels = footprint, labels
            if not footprint.taken:
                trio.lowlevel.remove_instrument(self._ran)
                self._ran = None

    async def clear(self) -> None:
        """Returns when nothing of the run is left. Checkpoint: only if there is something."""
        if self._nursery is not None and self._nursery.child_tasks:
            self._nursery.cancel_scope.cancel()
            self._nursery = None
            await self._gone.wait()

    async def _keep(self, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        gone = self._gone = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                task_status.started(nursery)
                await trio.sleep_forever()
        finally:
            gone.set()


@asynccontextmanager
async def open_stage(clock: SimClock) -> AsyncIterator[Stage]:
    """A stage for runs, one after another; `clock` is that of the running Trio loop."""
    try:
        async with trio.open_nursery() as outer:
            yield Stage(outer, clock)
            outer.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        reraise(group)


class Tasks:
    """System tasks of a node or host; `cancel` is what the end of a nursery of their own is."""

    __slots__ = ("_nursery", "_quiet", "_scopes")

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._scopes: dict[trio.CancelScope, None] = {}
        self._quiet: trio.Event | None = None

    def start(self, function: Callable[..., Any], args: tuple[Any, ...], name: str | None) -> None:
        """Starts one."""
        scope = trio.CancelScope()
        self._scopes[scope] = None
        self._nursery.start_soon(self._run, scope, function, args, name=name)

    @property
    def any(self) -> bool:
        """Whether one is under way."""
        return bool(self._scopes)

    async def _run(
        self,
        scope: trio.CancelScope,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
    ) -> None:
        try:
            with scope:
                await function(*args)
        finally:
            del self._scopes[scope]
            if not self._scopes and self._quiet is not None:
                self._quiet.set()

    async def cancel(self) -> None:
        """Cancels all and returns when they have unwound. Checkpoint: if there are any."""
        while self._scopes:
            for scope in self._scopes:
                scope.cancel()
            self._quiet = trio.Event()
            await self._quiet.wait()


class StageNode(Node):
    """A node whose tasks live in the stage's nursery."""

    def __init__(self, nursery: trio.Nursery, rng: SimRandom) -> None:
        super().__init__(rng=rng)
        self.opened(nursery)
        self.tasks = Tasks(nursery)

    def start_system_task(self, function: Callable[..., Any], *args: Any) -> None:
        """See `Node.start_system_task`."""
        self.tasks.start(function, args, None)


class StageHost(Host):
    """A host whose processes live in the stage's nursery.

    It closes when it was asked to stop and the last process is gone. What leaves a process by E38
    goes to `failed`: the run ends with it.
    """

    def __init__(
        self,
        node: Node,
        id: str,
        nursery: trio.Nursery,
        footprint: Footprint,
        failed: Failed,
        **options: Any,
    ) -> None:
        super().__init__(node, id, **options)
        self._footprint = footprint
        if id in node.hosts:
            raise make_error(ErrorKind.ALREADY_EXISTS, f"host {id} is running already")
        node.hosts[id] = self
        node.known_hosts[id] = None
        self._tasks = Tasks(nursery)
        self._failed = failed
        self.opened(nursery, nursery)

    def admit(self) -> None:
        """See `Host.admit`: it depends on the state, and where there is a limit it changes it."""
        self._footprint.touch(("host", self.id), WRITE if self.max_processes else READ)
        super().admit()

    def vacated(self) -> None:
        """See `Host.vacated`."""
        if self.max_processes:
            self._footprint.touch(("host", self.id), COUNT)
        super().vacated()

    def start_system_task(
        self, function: Callable[..., Awaitable[object]], *args: Any, name: str | None = None
    ) -> None:
        """See `Host.start_system_task`."""
        self._tasks.start(function, args, name or f"{self.id} {function}")

    def fail(self, exc: BaseException) -> None:
        """See `Host.fail`."""
        self.request_stop()
        self._failed(exc)

    def request_stop(self, drain: float | str | None = None) -> None:
        """See `Host.request_stop`."""
        self._footprint.touch(("host", self.id), WRITE)
        was_open = self.state is HostState.OPEN
        super().request_stop(drain)
        if was_open and (self.alive or self._tasks.any):
            self.node.start_system_task(self._close)
        elif was_open:
            self._closed_now()

    async def _close(self) -> None:
        await self.join()
        await self._tasks.cancel()
        self._closed_now()

    def _closed_now(self) -> None:
        if self.zombies:
            text = f"processes that could not be stopped: {', '.join(self.zombies)}"
            self._failed(make_error(ErrorKind.INTERNAL, text, details={"pids": [*self.zombies]}))
        del self.node.hosts[self.id]
        self.closed()

    def statistics(self) -> HostStatistics:
        """See `Host.statistics`."""
        self._footprint.touch(("host", self.id), READ)
        return super().statistics()

    async def wait_closed(self) -> None:
        """Returns when nothing of the host is left."""
        await self._closed.wait()

    def abort(self) -> None:
        """See `Host.abort`."""
        for process in self.processes():
            process.force(terminated(self.node.control))
