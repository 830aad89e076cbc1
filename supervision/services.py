"""Services: processes that are started in the order of their dependencies and kept alive.

Rules: Y1-Y12, Y31-Y39 of the process specification, P4.

One Trio task per started service carries out what ``ServiceMachine`` says; the machine decides,
this file awaits. Everything a task waits for comes through its queue: the end of its process, its
readiness, a request to stop. Tasks tell each other of changes by one event that is set and
replaced, because there are few services and changes are rare.

Rejected: starting layer by layer. A slow service would hold up others that do not need it.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from math import inf
from typing import Final

import trio
from attrs import define, field, frozen

from supervision import order
from supervision.reports import Record, reason_text, report
from supervision.runner import signals_readiness
from supervision.service_machine import Hold, Next, ServiceEvent, ServiceMachine, ServiceState, hold
from supervision.service_spec import ServiceSpec
from supervision.state import ReportKind
from trio_actors import CauseKind, ErrorKind, Exit, Node, Process, make_error
from trio_actors import as_process_error as error_of
from trio_actors._core.scopes import reraise

_S, _E = ServiceState, ServiceEvent

GRACE: Final = 1.0  # seconds that a forced end may take before the process counts as a zombie
STOP_LIMIT: Final = 30.0  # seconds that leaving ``open_services`` may take (I3)


@frozen
class ServiceStatus:
    """A service as people see it.

    Units: ``since`` in seconds of Trio's clock.
    """

    id: str
    state: ServiceState
    pid: str | None
    runs: int
    reason: str
    since: float
    depends_on: tuple[str, ...]
    waits_for: str  # why it is not started yet, or is held back
    gave_up: bool  # it has failed, and no retry is due


@define(eq=False)
class _Service:
    """One service and what its task needs."""

    spec: ServiceSpec
    machine: ServiceMachine
    process: Process | None = None
    pid: str | None = None
    queue: deque[tuple[ServiceEvent, str, bool]] = field(factory=deque)
    wake: trio.Event = field(factory=trio.Event)
    running: bool = False  # its task is there
    stopping: bool = False  # asked to stop
    waiting: bool = False  # for its dependencies
    due: float = inf  # when the machine wants to hear that time is up
    timed_out: bool = False  # its start took too long and it is being ended
    lost: bool = False  # its process would not end and counts as a zombie
    held: Hold | None = None
    logged: bool = False  # the last crash is in the log already

    def put(self, event: ServiceEvent, reason: str = "", *, clean: bool = False) -> None:
        self.queue.append((event, reason, clean))
        self.wake.set()


class ServiceManager:
    """Starts, watches and stops the services of one node.

    Made by ``open_services``, or with a nursery that outlives its services.
    """

    def __init__(self, node: Node, nursery: trio.Nursery) -> None:
        self.node = node
        self.pid = node.new_control_pid()  # the sender of CANCEL (P4, Y9)
        self._nursery = nursery
        self._services: dict[str, _Service] = {}
        self._changed = trio.Event()

    # ---- what there is ---------------------------------------------------------------------------

    def add(self, spec: ServiceSpec) -> None:
        """Take note of a service; it is not started.

        Raises: ProcessAlreadyExists.
        """
        if spec.id in self._services:
            raise make_error(ErrorKind.ALREADY_EXISTS, f"service {spec.id} exists already")
        self._services[spec.id] = _Service(spec, ServiceMachine(spec))
        self._change()

    def remove(self, id: str) -> None:
        """Forget a service that does not run.

        Raises: ProcessNotFound, ProcessConflict.
        """
        service = self._find(id)
        if service.running:
            raise make_error(ErrorKind.CONFLICT, f"service {id} is {service.machine.state}")
        del self._services[id]
        self._change()

    def status(self, id: str) -> ServiceStatus:
        """One service. Raises: ProcessNotFound."""
        return _status(self._find(id))

    def statuses(self) -> list[ServiceStatus]:
        """All services in the order in which they were added."""
        return [_status(service) for service in self._services.values()]

    def graph(self) -> dict[str, tuple[str, ...]]:
        """Each service and what it depends on."""
        return {id: service.spec.depends_on for id, service in self._services.items()}

    # ---- start -----------------------------------------------------------------------------------

    async def start(self, ids: Iterable[str] | None = None) -> None:
        """Start services and all they depend on; default: those with auto_start (Y8).

        Returns when each of them runs, has ended, has failed for the first time, or waits for one
        that has. Retries go on in the background.

        Checkpoint: always. Raises: ProcessInvalid naming a cycle, and then none is started (Y7);
        ProcessNotFound.
        """
        services = self._services
        wanted = [s.spec.id for s in services.values() if s.spec.auto_start]
        if ids is not None:
            wanted = [self._find(id).spec.id for id in ids]
        batch = order.closure(self.graph(), wanted)
        graph = {id: services[id].spec.depends_on for id in batch}
        try:
            order.layers(graph)
        except order.DependencyCycle as cycle:
            details = {"cycle": list(cycle.cycle)}
            raise make_error(ErrorKind.INVALID, str(cycle), details=details) from None
        started = [services[id] for id in batch]
        for service in started:
            if not service.running:
                service.running = service.waiting = True
                service.stopping, service.held = False, None
                service.queue.clear()
                self._nursery.start_soon(self._run, service, name=f"service {service.spec.id}")
        await trio.lowlevel.checkpoint()
        while not all(self._is_settled(service) for service in started):
            await self._changed.wait()

    def _is_settled(self, service: _Service) -> bool:
        held = service.held
        if not service.waiting:
            machine = service.machine
            return not service.running or machine.serves or machine.state is _S.FAILED
        if held is None:
            return False
        other = self._services.get(held.dependency)
        if held.final or other is None:
            return True
        return not other.machine.serves and self._is_settled(other)

    # ---- stop ------------------------------------------------------------------------------------

    async def stop(self, ids: Iterable[str] | None = None) -> None:
        """Stop services and all that depend on them, dependents first (Y6); default: all.

        Checkpoint: always.
        """
        graph = self.graph()
        dependents: dict[str, list[str]] = {id: [] for id in graph}
        for id, needs in graph.items():
            for need in needs:
                if need in dependents:
                    dependents[need].append(id)
        wanted = graph if ids is None else [self._find(id).spec.id for id in ids]
        batch = order.closure(dependents, wanted)
        async with trio.open_nursery() as nursery:
            for id in reversed(batch):
                nursery.start_soon(self._stop_one, self._services[id], dependents[id])
        await trio.lowlevel.checkpoint()

    async def _stop_one(self, service: _Service, dependents: list[str]) -> None:
        while any(self._services[id].running for id in dependents if id in self._services):
            await self._changed.wait()
        if service.running:
            if not service.stopping:
                service.stopping = True
                service.put(_E.STOP)
                self._change()
            while service.running:
                await self._changed.wait()

    # ---- the task of one service -----------------------------------------------------------------

    async def _run(self, service: _Service) -> None:
        try:
            if await self._dependencies(service):
                self._carry_out(service, _E.START, self._tell(service, _E.START))
                while self._goes_on(service):
                    event, reason, clean = await self._next(service)
                    step = self._tell(service, event, reason, clean=clean)
                    self._carry_out(service, event, step)
        finally:
            service.running = False
            self._change()

    def _goes_on(self, service: _Service) -> bool:
        machine = service.machine
        return machine.state in (_S.STARTING, _S.RUNNING, _S.STOPPING) or machine.retry_due

    async def _dependencies(self, service: _Service) -> bool:
        """Wait until all dependencies run; false if the service is stopped before that."""
        self._change()
        while service.held is not None and not service.stopping:
            await self._changed.wait()
        service.waiting = False
        service.held = None
        return not service.stopping

    async def _next(self, service: _Service) -> tuple[ServiceEvent, str, bool]:
        """The next thing that happens, or what it means that time is up."""
        while not service.queue:
            service.wake = trio.Event()
            with trio.move_on_at(service.due) as scope:
                await service.wake.wait()
            if scope.cancelled_caught and not service.queue:
                up = self._time_is_up(service)
                if up is not None:
                    return up
        return service.queue.popleft()

    def _time_is_up(self, service: _Service) -> tuple[ServiceEvent, str, bool] | None:
        service.due = inf
        match service.machine.state:
            case _S.FAILED:
                return (_E.RETRY, "", False)
            case _S.STOPPING:  # the deadline has ended it (K6) or cannot
                service.lost = True
                return (_E.STOP_TIMEOUT, "stop timeout", False)
            case _S.STARTING if service.timed_out:  # and it did not end: a zombie
                service.lost = True
                return (_E.FAILED, "start timeout", False)
            case _S.STARTING if service.process is not None:
                service.timed_out = True
                service.due = self.node.now() + GRACE
                self.node.terminate(service.process.pid)
        return None

    def _tell(
        self, service: _Service, event: ServiceEvent, reason: str = "", *, clean: bool = False
    ) -> Next:
        machine, before = service.machine, service.machine.state
        step = machine.handle(event, self.node.now(), self.node.rng, reason, clean=clean)
        if before is not machine.state:
            self._change()
        kind = _REPORTS.get((machine.state, event))
        if event is _E.STOP_TIMEOUT:
            kind = ReportKind.STOPPED if service.process is None else ReportKind.ZOMBIE
        if kind is not None:
            self._report(kind, service, reason)
        if event is _E.FAILED and machine.state is _S.FAILED:
            after = ReportKind.RESTARTING if machine.retry_due else ReportKind.GAVE_UP
            self._report(after, service, reason, step.delay or 0.0)
        return step

    def _carry_out(self, service: _Service, event: ServiceEvent, step: Next) -> None:
        now = self.node.now()
        if step.start:
            self._launch(service)
        elif step.delay is not None:
            service.due = now + step.delay
        elif event is _E.STARTED:
            service.due = inf
        elif event is _E.STOP and service.process is not None:
            limit = service.spec.stop_timeout
            service.due = now + limit + GRACE
            self.node.request_cancel(service.process, self.pid, now + limit)  # Y9

    # ---- its process -----------------------------------------------------------------------------

    def _launch(self, service: _Service) -> None:
        """Spawn the process; what becomes of it arrives in the queue (Y4, Y35)."""
        spec = service.spec
        service.pid = service.process = None
        service.timed_out = service.lost = False
        service.due = self.node.now() + spec.start_timeout
        try:
            host = self.node.hosts.get(spec.host)
            if host is None:
                raise make_error(ErrorKind.NOT_FOUND, f"host not found: {spec.host}")
            pid = host.spawn_soon(spec.process, *spec.input, actor=spec.actor, scope=spec.scope)
        except Exception as exc:
            error = error_of(exc)
            stops = error.kind is ErrorKind.UNAVAILABLE and "shutting down" in error.message
            service.put(_E.CANCELLED if stops else _E.FAILED, reason_text(error))
            return
        process = self.node.processes[pid]
        service.pid, service.process = pid, process
        process.on_exit(lambda exit: self._ended(service, process, exit))
        if spec.ready or signals_readiness(process):
            process.readiness = lambda _value: self._started(service, process)
        else:
            service.put(_E.STARTED)

    def _started(self, service: _Service, process: Process) -> None:
        if service.process is process and service.machine.state is _S.STARTING:
            service.put(_E.STARTED)

    def _ended(self, service: _Service, process: Process, exit: Exit) -> None:
        if service.process is not process:
            return  # a zombie that ended after all
        service.process = None
        if service.lost:
            return  # the same, before the next one was started
        service.logged = exit.logged
        event, reason, clean = self._meaning(service, process, exit)
        service.put(event, reason, clean=clean)

    def _meaning(
        self, service: _Service, process: Process, exit: Exit
    ) -> tuple[ServiceEvent, str, bool]:
        """What the end of the process means for the service (Y32-Y39)."""
        error, asked = exit.error, service.stopping
        if service.timed_out:
            return _E.FAILED, "start timeout", False
        if asked and exit.cause.kind is CauseKind.DEADLINE:
            return _E.STOP_TIMEOUT, "stop timeout", False
        if not asked and (exit.cause.kind is CauseKind.OUTSIDE or process.host.state != "running"):
            return _E.CANCELLED, str(error or ""), False
        if error is None or (exit.shutdown and error.kind is ErrorKind.CANCELED):
            return _E.ENDED, "", True  # a supervisor that gave up is no orderly end, see its error
        if error.retryable is False:
            return _E.ENDED, str(error), False
        return _E.FAILED, str(error), False

    def finish(self) -> None:
        """Nothing more will be asked: kept for who runs the manager in a nursery of their own."""

    # ---- small things ----------------------------------------------------------------------------

    def _find(self, id: str) -> _Service:
        service = self._services.get(id)
        if service is None:
            raise make_error(ErrorKind.NOT_FOUND, f"no service {id}")
        return service

    def _change(self) -> None:
        """Something about a service is different: see who waits for what, and tell all tasks."""
        waiting = [service for service in self._services.values() if service.waiting]
        machines = {id: service.machine for id, service in self._services.items()}
        again = True
        while again:  # a service that is held back holds back its dependents
            again = False
            holds = {s.spec.id: s.held for s in waiting if s.held is not None}
            for service in waiting:
                found = hold(service.spec.depends_on, machines, holds)
                if found != service.held:
                    service.held, again = found, True
                    if found is not None and found.final:
                        self._report(ReportKind.START_FAILED, service, f"held back: {found}")
        self._changed.set()
        self._changed = trio.Event()

    def _report(
        self, kind: ReportKind, service: _Service, reason: str = "", delay: float = 0.0
    ) -> None:
        runs = service.machine.runs  # the first one is no restart
        restarts = runs if kind is ReportKind.RESTARTING else max(0, runs - 1)
        id, logged = service.spec.id, service.logged
        record = Record(kind, "services", id, service.pid, reason, restarts, delay)
        report(record, logged=logged)


_REPORTS: Final[dict[tuple[ServiceState, ServiceEvent], ReportKind]] = {
    (_S.RUNNING, _E.STARTED): ReportKind.STARTED,
    (_S.FAILED, _E.FAILED): ReportKind.FAILED,
    (_S.EXITED, _E.ENDED): ReportKind.EXITED,
    (_S.STOPPED, _E.ENDED): ReportKind.STOPPED,
    (_S.STOPPED, _E.FAILED): ReportKind.STOPPED,
    (_S.STOPPED, _E.STOP): ReportKind.STOPPED,
    (_S.STOPPED, _E.CANCELLED): ReportKind.STOPPED,
}


def _status(service: _Service) -> ServiceStatus:
    machine = service.machine
    return ServiceStatus(
        id=service.spec.id,
        state=machine.state,
        pid=service.pid if service.process is not None else None,
        runs=machine.runs,
        reason=machine.reason,
        since=machine.since,
        depends_on=service.spec.depends_on,
        waits_for="" if service.held is None else str(service.held),
        gave_up=machine.gave_up,
    )


@asynccontextmanager
async def open_services(node: Node, *, limit: float = STOP_LIMIT) -> AsyncIterator[ServiceManager]:
    """``async with open_services(node) as services``: leaving stops all of them in order.

    The stop happens however the block is left, also by cancellation from outside, within ``limit``
    seconds; then the hosts end what is left.
    """
    managers: list[ServiceManager] = []
    there, finished = trio.Event(), trio.Event()

    async def run() -> None:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                managers.append(ServiceManager(node, nursery))
                there.set()
                await finished.wait()
                nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as around:
            try:
                around.start_soon(run)  # not start(): Ctrl-C during it can hang
                with trio.CancelScope(shield=True):
                    await there.wait()
                try:
                    yield managers[0]
                finally:
                    with trio.CancelScope(shield=True, deadline=trio.current_time() + limit):
                        await managers[0].stop()
            finally:
                finished.set()
    except BaseExceptionGroup as group:
        reraise(group)
