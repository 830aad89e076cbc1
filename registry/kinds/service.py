"""`process.service`: a process that is kept alive.

Rules: Y20-Y30 (fields), Y6 (references order the start), LD8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Literal

import attrs

from supervision import Backoff, ServiceSpec, ServiceState
from trio_actors import Pid

from ..fields import HostRef, ProcessRef, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from .lifecycle import Lifecycle, lifecycle_findings, policies_needed
from .security import actor_and_scope

if TYPE_CHECKING:
    from ..app import App

SERVICES = ("process.service", "queue.consumer", "schedule.job", "http.service")
RUNS = (ServiceState.STARTING, ServiceState.RUNNING, ServiceState.FAILED)


@attrs.frozen(slots=True)
class ProcessService:
    """A process, its host and its arguments, kept alive."""

    process: ProcessRef = setting("what runs")
    host: HostRef = setting("where it runs")
    input: tuple[Any, ...] = setting("arguments of the process", default=())
    lifecycle: Lifecycle = setting("start, stop and restart", factory=Lifecycle)
    on_change: Literal["restart", "upgrade", "ignore"] = setting(
        "when the process's entry changes at run time; `upgrade` leaves a process that has set "
        "`upgradable` to itself and restarts any other",
        default="restart",
    )


def service_spec(app: App, definition: Definition) -> ServiceSpec:
    """What the supervision of a `process.service` needs to know."""
    model: ProcessService = definition.model
    return lifecycle_spec(app, definition, model.lifecycle, model.process, model.host, model.input)


def lifecycle_spec(
    app: App,
    definition: Definition,
    lifecycle: Lifecycle,
    process: Any,
    host: str,
    input: tuple[Any, ...] = (),
) -> ServiceSpec:
    """What the supervision of anything with a lifecycle needs to know.

    Only other services are waited for: everything else that it needs was created before it.
    """
    restart = lifecycle.restart
    actor, scope = actor_and_scope(app, lifecycle.security, definition.entry.namespace)
    services = {id for id, d in app.all_definitions().items() if d.kind in SERVICES}
    return ServiceSpec(
        id=definition.id,
        process=process,
        host=host,
        input=input,
        auto_start=lifecycle.auto_start,
        start_timeout=lifecycle.start_timeout,
        stop_timeout=lifecycle.stop_timeout,
        depends_on=tuple(id for id in lifecycle.needs if id in services),
        backoff=Backoff(
            initial_delay=restart.initial_delay,
            max_delay=restart.max_delay,
            backoff_factor=restart.backoff_factor,
            jitter=restart.jitter,
            reset_after=lifecycle.stable_threshold,
        ),
        max_attempts=restart.max_attempts,
        ready=lifecycle.ready,
        actor=actor,
        scope=scope,
    )


class ServiceKind(BaseKind):
    """`process.service`."""

    model = ProcessService
    doc = "A process that starts with the application, restarts after failures, stops in order."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The rules of its lifecycle."""
        return lifecycle_findings(definition, others)

    def needs(self, definition: Definition, others: Definitions) -> Iterable[str]:
        """The policies of its groups."""
        return policies_needed(definition, others)

    async def add(self, app: App, definition: Definition) -> None:
        """The service is known; it is started with the application, or now if that runs."""
        app.supervisor.add(service_spec(app, definition))
        if app.started and definition.model.lifecycle.auto_start:
            await app.supervisor.start([definition.id])

    async def remove(self, app: App, definition: Definition) -> None:
        """The service and what depends on it have stopped, then it is forgotten."""
        await app.supervisor.stop([definition.id])
        app.supervisor.remove(definition.id)

    def affected_by(self, definition: Definition, changed: Collection[str]) -> bool:
        """Whether its process has changed and the service follows (`on_change`)."""
        model: ProcessService = definition.model
        return model.on_change != "ignore" and model.process in changed

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """The service and what depends on it stop in order; what ran runs again.

        If only its process has changed and upgrades by itself, it goes on: OUTDATED will come.
        """
        if old.entry == new.entry and new.model.on_change == "upgrade" and upgrades(app, new.id):
            return
        await replace(app, service_spec(app, new), auto_start=new.model.lifecycle.auto_start)


def upgrades(app: App, service: str) -> bool:
    """Whether the process of a service has asked to be told of newer code."""
    pid = app.supervisor.status(service).pid
    process = app.node.processes.get(Pid(pid)) if pid else None
    return process is not None and process.upgradable


async def replace(app: App, spec: ServiceSpec, *, auto_start: bool) -> None:
    """A service in place of the one of the same id: stopped in order, and what ran runs again."""
    before = {s.id for s in app.supervisor.statuses() if s.state in RUNS}
    await app.supervisor.stop([spec.id])
    app.supervisor.remove(spec.id)
    app.supervisor.add(spec)
    wanted = {s.id for s in app.supervisor.statuses()} & before
    if auto_start:
        wanted.add(spec.id)
    if app.started:
        await app.supervisor.start(sorted(wanted))


PROCESS_SERVICE = ServiceKind()
