"""A host: where processes run (P8, §12). The nursery itself is opened in `scopes`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import attrs
import trio

from trio_actors._core.duration import duration_seconds
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.exit import terminated
from trio_actors._core.inherited import NOTHING_INHERITED, extend
from trio_actors._core.lifecycle import HOST_LIFE, OPEN, HostState, HostStep, advance
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors._core.bounded import Bounded
    from trio_actors._core.dispatch import Dispatcher
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process
    from trio_actors._core.spawn import SpawnTarget


@attrs.frozen(slots=True)
class HostStatistics:
    """What a host holds at one moment (PH8); `oldest_unread` in seconds."""

    id: str
    state: str
    processes: int
    by_state: Mapping[str, int]
    unread: int
    longest_mailbox: int
    oldest_unread: float


class SpawnOptions(TypedDict, total=False):
    """What `Host.spawn_soon` takes by keyword; as in `Host.spawn`."""

    name: str | None
    context: Mapping[str, Any] | None
    actor: Any
    scope: Any
    messages: Sequence[tuple[Any, ...]]
    mailbox: Bounded | None


class Host:
    """Runs processes in one Trio nursery; made by `Node.open_host`.

    Attributes:
        id: registry id, for example `app:workers`.
        max_processes: alive at one time; 0 = unlimited (Z5).
        workers: threads that run Lua in parallel; 1 = on the Trio thread (Z1).
        copy_messages: copy Python messages in depth, to find shared state in tests (M26).
    """

    def __init__(
        self,
        node: Node,
        id: str,
        *,
        max_processes: int = 0,
        workers: int = 1,
        drain: float | str = 10.0,
        copy_messages: bool = False,
    ) -> None:
        if workers < 1:
            raise make_error(ErrorKind.INVALID, "workers must be greater than 0")
        if max_processes < 0:
            raise make_error(ErrorKind.INVALID, "max_processes must not be negative")
        self.node = node
        self.id = id
        self.max_processes = max_processes
        self.workers = workers
        self.drain = duration_seconds(drain)
        self.copy_messages = copy_messages
        self.state = HostState.NEW
        self.alive = 0
        self.dispatcher: Dispatcher | None = None  # of its servers, made at first need
        self.extensions: dict[str, Any] = {}  # what runs bodies keeps its own things here
        self.zombies: dict[Pid, str] = {}  # given up while they would not end: their code's id
        self._cut = False  # it was open when its nursery was cancelled
        self._nursery: trio.Nursery | None = None
        self._around: trio.Nursery | None = None
        self._opened = trio.Event()
        self._stop_requested = trio.Event()
        self._closed = trio.Event()
        self._empty: trio.Event | None = None

    # -- used by the kernel

    def opened(self, nursery: trio.Nursery, around: trio.Nursery) -> None:
        """The nursery is there: spawns are accepted. `around` also holds the user's block."""
        self._around = around
        self._opened.set()
        self.state = advance(HOST_LIFE, self.state, HostStep.OPEN)
        self._nursery = nursery

    def cut(self) -> None:
        """Its nursery is cancelled: who is started while others still unwind ends at once, too.

        With the last of them the nursery closes, a turn before `closed` is called.
        """
        if self.state is OPEN:
            self.state = advance(HOST_LIFE, self.state, HostStep.STOP)
            self._cut = True

    def closed(self) -> None:
        """Nothing of the host is left."""
        self.state = advance(HOST_LIFE, self.state, HostStep.CLOSE)
        self._nursery = self._around = None
        self._closed.set()

    def fail(self, exc: BaseException) -> None:
        """A process ended by E38: `exc` leaves the host at once, the processes stop in order."""
        self.request_stop()
        assert self._around is not None
        self._around.start_soon(_leave_with, exc)

    def admit(self) -> None:
        """Refuses a spawn that cannot be (Z2, W8); changes nothing."""
        if self.state is not OPEN and not self._unwinds():
            stopping = self.state is HostState.STOPPING
            text = "host is shutting down" if stopping else "host is not running"
            raise make_error(ErrorKind.UNAVAILABLE, text)
        if self.max_processes and self.alive >= self.max_processes:
            limit = self.max_processes
            text = f"host is full (max_processes={limit})"
            raise make_error(ErrorKind.UNAVAILABLE, text, retryable=True)

    def _unwinds(self) -> bool:
        return self._cut and self._nursery is not None and bool(self._nursery.child_tasks)

    def vacated(self) -> None:
        """There is room again, or nobody left: step 1 of V20, which has counted `alive` down."""
        if self.alive == 0 and self._empty is not None:
            self._empty.set()
            self._empty = None

    def start_soon(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        """Starts a process's task in the nursery."""
        assert self._nursery is not None
        self._nursery.start_soon(function, name=name)

    def start_system_task(
        self, function: Callable[..., Awaitable[object]], *args: Any, name: str | None = None
    ) -> None:
        """A task that serves the host's processes; it is cancelled when the last one is gone."""
        assert self._nursery is not None
        self._nursery.start_soon(function, *args, name=name or f"{self.id} {function}")

    def processes(self) -> list[Process]:
        """The processes alive, oldest first."""
        return [p for p in self.node.processes.values() if p.host is self]

    async def wait_opened(self) -> None:
        """Returns when the host accepts spawns."""
        await self._opened.wait()

    async def wait_closed(self) -> None:
        """Returns when nothing of the host is left."""
        await self._closed.wait()

    async def wait_stop_requested(self) -> None:
        """Returns when somebody wants the host to stop."""
        await self._stop_requested.wait()

    def request_stop(self, drain: float | str | None = None) -> None:
        """Refuses spawns from now on and asks every process to end (Z3); repeatable.

        Units: drain in seconds, or a text like "5s"; None: as the host was opened with.

        A process whose guardian lives here is asked by its guardian, in the guardian's order (SU7);
        the deadline holds for it as for all.
        """
        seconds = self.drain if drain is None else duration_seconds(drain)
        self._stop_requested.set()  # also if it is only being opened
        if self.state is not HostState.OPEN:
            return
        self.drain = seconds
        self.state = advance(HOST_LIFE, self.state, HostStep.STOP)
        if self._nursery is not None and self._nursery.cancel_scope.cancel_called:
            return  # aborted: the end of each has been decided (E37, E40)
        control = self.node.control
        deadline = trio.current_time() + self.drain
        for process in self.processes():
            if self.drain <= 0:
                process.force(terminated(control))
            elif (guardian := process.guardian) and guardian.host is self and not guardian.ended:
                process.limit(deadline, control)
            else:
                self.node.request_cancel(process, control, deadline)

    def abort(self) -> None:
        """Cancels everything at once, without asking (I11, the second signal)."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    # -- for users

    async def spawn(
        self,
        target: SpawnTarget,
        *args: Any,
        name: str | None = None,
        context: Mapping[str, Any] | None = None,
        actor: Any = None,
        scope: Any = None,
        messages: Sequence[tuple[Any, ...]] = (),
        ready: bool = False,
        mailbox: Bounded | None = None,
    ) -> Pid:
        """Starts a process here and returns its PID (PH5); not checked for permissions (A10).

        With `ready=True` it returns when the process called `ctx.started(...)`, and raises the
        process's error if its end comes first; a cancelled spawn leaves nothing behind.

        Checkpoint: always. Raises: as `ProcessContext.spawn`, without permission errors.
        """
        return await spawning.spawn(
            self.node,
            target,
            args,
            host=self,
            name=name,
            inherited=extend(NOTHING_INHERITED, values=context, actor=actor, scope=scope),
            messages=messages,
            ready=ready,
            mailbox=mailbox,
        )

    def spawn_soon(self, target: SpawnTarget, *args: Any, **options: Unpack[SpawnOptions]) -> Pid:
        """As `spawn` without readiness, and without a checkpoint; see SpawnOptions for the rest.

        Most spawns have no options, and to look for each of six takes as long as an object.
        """
        if options:
            return self._spawn_soon(target, args, **options)
        if isinstance(target, type):
            try:
                server: Any = target._target  # type: ignore[attr-defined]  # of a Server class
            except AttributeError:
                pass
            else:
                process = server.launch(self, args)
                if process is not None:
                    pid: Pid = process.pid
                    return pid
        return spawning.launch(self.node, target, args, self).pid

    def _spawn_soon(
        self,
        target: SpawnTarget,
        args: tuple[Any, ...],
        *,
        name: str | None = None,
        context: Mapping[str, Any] | None = None,
        actor: Any = None,
        scope: Any = None,
        messages: Sequence[tuple[Any, ...]] = (),
        mailbox: Bounded | None = None,
    ) -> Pid:
        inherited = extend(NOTHING_INHERITED, values=context, actor=actor, scope=scope)
        return spawning.launch(
            self.node, target, args, self, name, inherited, messages, mailbox
        ).pid

    async def join(self) -> None:
        """Returns when all processes have ended by themselves (PH3). Checkpoint: always."""
        await trio.lowlevel.checkpoint()
        while self.alive:
            if self._empty is None:
                self._empty = trio.Event()
            await self._empty.wait()

    async def stop(self, drain: float | str | None = None) -> None:
        """Stops in order (Z3) and returns when nothing is left; repeatable. Checkpoint: always.

        Units: drain in seconds, or a text like "5s".
        """
        self.request_stop(drain)
        await self.wait_closed()

    def statistics(self) -> HostStatistics:
        """A snapshot (PH8)."""
        by_state: dict[str, int] = {}
        unread = longest = 0
        oldest = 0.0
        for process in self.processes():
            self.node.touch("process", process.pid)
            doing = process.doing()
            by_state[doing] = by_state.get(doing, 0) + 1
            depth = process.mailbox.depth()
            unread += depth
            longest = max(longest, depth)
            oldest = max(oldest, process.oldest_unread())
        return HostStatistics(
            self.id, self.state.value, self.alive, by_state, unread, longest, oldest
        )

    def __repr__(self) -> str:
        return f"<Host {self.id} {self.state.value}, {self.alive} processes>"


async def _leave_with(exc: BaseException) -> None:
    await trio.lowlevel.cancel_shielded_checkpoint()
    try:
        raise exc
    finally:
        del exc  # this frame is in its traceback: a cycle


# Last, because it needs the class above; an import in `spawn_soon` takes as long as an object.
from trio_actors._core import spawn as spawning  # noqa: E402
