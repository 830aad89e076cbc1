"""`Sim`: what a simulated test holds in its hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.errors import ErrorKind
from trio_actors._core.exit import Cause, CauseKind, Forced
from trio_actors._core.host import Host
from trio_actors._core.lifecycle import HostState
from trio_actors._core.node import Node
from trio_actors._core.pid import Pid, place_of
from trio_actors.testing.history import History
from trio_actors.testing.invariants import Violation
from trio_actors.testing.schedule import MessageId
from trio_actors.testing.stage import StageHost, StageNode

if TYPE_CHECKING:
    from trio_actors.testing.delivery import Delivery
    from trio_actors.testing.run import Run


class Sim:
    """One simulated run of a test; `explore` makes one per schedule and passes it as `sim`.

    Time is virtual and starts at 0. Nothing that is sent arrives before the test awaits.

    Attributes:
        node: the node on which `spawn` starts processes.
        history: the operations noted by `record`, for `linearizable`.
        dead_letters: ids of messages that reached an ended process.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pump = run.pump
        self._hosts: dict[str, StageHost] = {}
        self._nursery: trio.Nursery | None = None
        self._node: StageNode | None = None
        self.promises: list[_Promise] = []
        self.history = History(self._pump)
        self.dead_letters: list[MessageId] = []

    def __repr__(self) -> str:
        return f"<Sim at {self._pump.clock.time:g} s, {len(self._pump.steps)} steps>"

    # -- building a system

    @property
    def node(self) -> Node:
        """The node of this run."""
        assert self._node is not None
        return self._node

    def opened(self, node: StageNode, nursery: trio.Nursery) -> None:
        """Called by the run."""
        self._node = node
        self._nursery = nursery

    async def host(self, id: str = "h0", **options: Any) -> Host:
        """The host of this id, opened at first need. Checkpoint: if it is being stopped."""
        host = self._hosts.get(id)
        if host is not None and host.state is not HostState.OPEN:
            await host.wait_closed()
            host = None
        return self._open_host(id, options) if host is None else host

    def _open_host(self, id: str, options: dict[str, Any]) -> StageHost:
        assert self._nursery is not None
        options.setdefault("drain", 0.0)
        footprint, failed = self._pump.footprint, self._run.left
        host = StageHost(self.node, id, self._nursery, footprint, failed, **options)
        self._hosts[id] = host
        return host

    def close_hosts(self) -> None:
        """Stops all hosts, the last opened first; called by the run."""
        for host in reversed(list(self._hosts.values())):
            host.request_stop()

    async def spawn(
        self,
        fn: Any,
        *args: Any,
        name: str | None = None,
        host: str = "h0",
        link: str | None = None,
        monitor: str | None = None,
        **options: Any,
    ) -> Pid:
        """Starts a process on a host of the simulation; its start is a delivery like any other.

        `link` and `monitor` name processes that are linked to it, or told of its end.
        """
        place = await self.host(host)
        pid = place.spawn_soon(fn, *args, name=name, **options)
        topology = self.node.topology
        if link is not None:
            topology.link(self._pid(link), pid)
        if monitor is not None:
            topology.monitor(self._pid(monitor), pid)
        return pid

    async def start(self, tree: Any, *args: Any, host: str = "h0", **options: Any) -> Pid:
        """Starts a process and returns when it says that it is ready, for example a supervisor."""
        place = await self.host(host)
        return await place.spawn(tree, *args, ready=True, **options)

    def send(self, dst: str, topic: str, *payload: Any) -> None:
        """Sends a message from outside; in pictures and tokens the sender is `test`."""
        self.node.send(dst, topic, *payload)

    async def call(self, target: Any, *args: Any, host: str = "h0") -> Any:
        """Spawns a process, waits for its end, returns its value or raises its error."""
        return await self.node.call(target, *args, host=await self.host(host))

    def _pid(self, dest: str) -> Pid:
        node = self.node
        return Pid(dest) if dest in node.processes else node.lookup(dest)

    # -- letting it run

    async def settle(self) -> None:
        """Returns when nothing is in transit and no deadline is pending. Checkpoint: always.

        A system with periodic timers never rests; use `run_for` for it.
        """
        await self._pump.rest(with_time=True)
        self._run.checks.at_rest(timeless=True)

    async def run_for(self, seconds: float) -> None:
        """Lets virtual time pass and everything happen that happens in it. Checkpoint: always."""
        await trio.sleep(seconds)
        await self._pump.rest(with_time=False)

    @property
    def now(self) -> float:
        """Virtual seconds since the run began."""
        return self._pump.clock.time

    # -- scripted orders

    def pending(self) -> list[str]:
        """Ids of everything in transit, oldest first."""
        return [str(delivery.id) for delivery in self._pump.pending()]

    def deliver(self, id: str) -> None:
        """Delivers one message now; its receiver handles it when the test next awaits.

        Raises:
            LookupError: it is not in transit, or another of its pair comes first.
        """
        self._pump.deliver_now(MessageId.parse(id))

    def hold(self, src: str, dst: str) -> None:
        """Nothing from src to dst arrives until `release`; both are labels or PIDs."""
        self._pump.held_pairs[self._label(src), self._label(dst)] = None

    def release(self, src: str, dst: str) -> None:
        """Takes back `hold`; repeatable."""
        self._pump.held_pairs.pop((self._label(src), self._label(dst)), None)

    def _label(self, who: str) -> str:
        labels = self._pump.labels
        return labels.known().get(Pid(who), who)

    # -- breaking things

    def kill(self, dest: str) -> None:
        """Ends a process by force, at once."""
        self.node.terminate(dest)
        self._run.note_fault(self._pid_or_none(dest))

    def _pid_or_none(self, dest: str) -> Pid | None:
        try:
            return self._pid(dest)
        except Exception:
            return None

    def crash_host(self, id: str) -> None:
        """Ends everything on a host at once and loses what is in transit to and from it."""
        host = self._hosts.get(id)
        if host is None or host.state is not HostState.OPEN:
            raise LookupError(f"no host {id} is running")
        self._run.crash(host)
        host.request_stop()

    async def restart_host(self, id: str) -> None:
        """Opens a crashed host again, empty."""
        await self.host(id)

    def partition(self, *groups: tuple[str, ...] | list[str]) -> None:
        """Messages between hosts of different groups wait until `heal`."""
        self._pump.separated = {host: i for i, group in enumerate(groups) for host in group}

    def heal(self) -> None:
        """Ends a partition: what was held arrives."""
        self._pump.separated = {}

    def clock_jump(self, host: str, seconds: float) -> None:
        """Moves the wall clock of a host's processes; Trio's clock is not moved."""
        self._run.skew[host] = self._run.skew.get(host, 0.0) + seconds

    def slow_start(self, pid: str, seconds: float) -> None:
        """Delays the start of a process that has just been spawned."""
        for delivery in self._pump.pending():
            if delivery.id.n == 0 and delivery.target is not None and delivery.target.pid == pid:
                self._pump.delay(delivery, self.now + seconds)
                return
        raise LookupError(f"{pid} has been started already")

    def faulted(self, pid: str) -> bool:
        """Whether a fault has hit this process, so that less is promised about it."""
        return pid in self._run.hit

    @property
    def undisturbed(self) -> bool:
        """Whether no fault of the schedule has hit anything so far."""
        return not self._run.plan.used

    # -- properties

    def sometimes(self, name: str, cond: object = True) -> None:
        """The test is worth something only if `cond` was true in at least one run (TS11)."""
        self._run.sometimes[name] = self._run.sometimes.get(name, False) or bool(cond)

    def always(self, name: str, cond: object) -> None:
        """`cond` must be true now; a callable must be true after every step from now on.

        Raises:
            Violation: it is false.
        """
        if not callable(cond):
            if not cond:
                raise Violation(name, "")
            return
        condition: Callable[[], object] = cond
        if not condition():
            raise Violation(name, "")
        self.promises.append(_Promise(name, condition, inf, None))

    def eventually(self, name: str, cond: Callable[[], object], within: float) -> None:
        """`cond()` must become true within so many virtual seconds from now."""
        if cond():
            return
        promise = _Promise(name, cond, self.now + within, trio.Event())
        self.promises.append(promise)
        self.node.start_system_task(self._await_promise, promise)

    async def _await_promise(self, promise: _Promise) -> None:
        assert promise.kept is not None
        with trio.move_on_at(promise.until):
            await promise.kept.wait()
        if not promise.kept.is_set():
            self._run.failed(Violation(promise.name, f"not true at {promise.until:g} s"))
            promise.kept.set()

    def check_promises(self) -> None:
        """After a step: `always` must hold, `eventually` may be fulfilled. Called by the run."""
        for promise in list(self.promises):
            true = bool(promise.condition())
            if promise.kept is None and not true:
                self.promises.remove(promise)
                self._run.failed(Violation(promise.name, f"no longer true at {self.now:g} s"))
            elif promise.kept is not None and true:
                self.promises.remove(promise)
                promise.kept.set()

    async def finish(self) -> None:
        """At the end of the test: what is in transit arrives, `eventually` is decided."""
        for promise in list(self.promises):
            if promise.kept is not None:
                await promise.kept.wait()
        await self._pump.rest(with_time=False)

    # -- looking back

    @property
    def trace(self) -> list[str]:
        """What has happened so far, one line per step."""
        return [describe(step.delivery, step.at) for step in self._pump.steps]

    def label(self, pid: str) -> str:
        """The name of a process in pictures and tokens."""
        return self._pump.labels.of(Pid(pid))

    @contextmanager
    def scripted(self) -> Iterator[None]:
        """Inside, only what the test delivers itself is delivered."""
        self._pump.scripted = True
        try:
            yield
        finally:
            self._pump.scripted = False


class _Promise:
    """A condition that must stay or become true."""

    __slots__ = ("condition", "kept", "name", "until")

    def __init__(
        self, name: str, condition: Callable[[], object], until: float, kept: trio.Event | None
    ) -> None:
        self.name = name
        self.condition = condition
        self.until = until
        self.kept = kept  # None for `always`


def describe(delivery: Delivery | None, at: float) -> str:
    """One line of a trace."""
    if delivery is None:
        return f"{at:g} s"
    return f"{delivery.id} {delivery.what}"


def host_of(pid: Pid) -> str:
    """The host part of a PID."""
    return place_of(pid)[1]


def crashed(host: str) -> Forced:
    """The end of a process whose host crashed."""
    return Forced(f"host {host} crashed", ErrorKind.UNAVAILABLE, Cause(CauseKind.OUTSIDE))
