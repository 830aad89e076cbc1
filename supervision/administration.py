"""What people ask of a running supervisor: start, terminate, restart, delete, update, queries.

Rules: SU20-SU25. Pure, like ``decide``, which calls ``handle`` when no job is in progress. Requests
that need a start or a stop become the next job; all others are answered at once.
"""

from collections import deque
from typing import Final

from attrs import evolve, frozen

from supervision.intensity import IntensityWindow
from supervision.specs import SupervisorSpec
from supervision.state import (
    ALIVE,
    EXITED,
    STOPPED,
    Action,
    ChildRecord,
    ChildState,
    DeleteChild,
    Job,
    JobKind,
    Refuse,
    Reply,
    Request,
    RestartChild,
    StartChild,
    SupervisorState,
    TerminateChild,
    Update,
)
from supervision.terms import ChildType, RestartType, Strategy
from trio_actors import ErrorKind, ProcessError, is_pid, make_error


@frozen
class ChildInfo:
    """One child as which_children and get_child show it.

    Units: ``uptime`` in seconds.
    """

    id: str
    pid: str | None
    state: str  # running, restarting, starting, stopping or stopped
    type: ChildType
    restart: RestartType
    restarts: int
    uptime: float


@frozen
class ChildCount:
    """How many children there are: listed, with a process, supervisors, workers."""

    specs: int
    active: int
    supervisors: int
    workers: int


SHOWN: Final[dict[ChildState, str]] = {
    ChildState.STOPPED: "stopped",
    ChildState.STARTING: "starting",
    ChildState.RUNNING: "running",
    ChildState.STOPPING: "stopping",
    ChildState.EXITED: "restarting",  # noticed, not yet handled
    ChildState.RESTARTING: "restarting",
}


# ---- requests ------------------------------------------------------------------------------------


def handle(state: SupervisorState, request: Request, plan: list[Action]) -> None:
    """Answer the request or make it the job."""
    try:
        match request:
            case StartChild():
                start_child(state, request)
            case TerminateChild():
                terminate_child(state, request, plan)
            case RestartChild():
                record = find(state, request.id)
                expect_stopped(record)
                state.job = Job(JobKind.REVIVE, start=deque([record.key]), token=request.token)
            case DeleteChild():
                record = find(state, request.id)
                expect_stopped(record)
                state.drop(record)
                plan.append(Reply(request.token))
            case Update():
                update(state, request.spec)
                plan.append(Reply(request.token))
    except ProcessError as error:
        plan.append(Refuse(request.token, error))


def start_child(state: SupervisorState, request: StartChild) -> None:
    """SU21, and for simple_one_for_one SU23."""
    spec, limit = request.spec, state.spec.max_children
    if state.simple:
        if spec is not None:
            raise make_error(
                ErrorKind.INVALID, "simple_one_for_one takes arguments, no specification"
            )
        if limit and len(state.children) >= limit:
            raise make_error(ErrorKind.UNAVAILABLE, f"too many children (max_children={limit})")
        record = state.add(state.spec.children[0], request.args)
    else:
        if spec is None:
            raise make_error(ErrorKind.INVALID, "start_child requires a child specification")
        key = state.by_id.get(spec.id)
        if key is not None:
            raise present(state.children[key])
        record = state.add(spec)
    state.job = Job(JobKind.ADD, start=deque([record.key]), token=request.token)


def present(record: ChildRecord) -> ProcessError:
    if record.state is STOPPED:
        return make_error(ErrorKind.ALREADY_EXISTS, f"child {record.spec.id!r} is already present")
    if record.state in ALIVE:
        return make_error(
            ErrorKind.ALREADY_EXISTS,
            f"child {record.spec.id!r} is already started: {record.pid}",
            details={"pid": record.pid},
        )
    return make_error(
        ErrorKind.ALREADY_EXISTS, f"child {record.spec.id!r} is already present, restarting"
    )


def terminate_child(state: SupervisorState, request: TerminateChild, plan: list[Action]) -> None:
    """SU22: the spec stays, but for temporary and dynamic children."""
    record = find_dynamic(state, request.id) if state.simple else find(state, request.id)
    if record.state in ALIVE:
        state.job = Job(JobKind.TERMINATE, stop=deque([record.key]), token=request.token)
        return
    if record.state is not STOPPED:
        record.move(STOPPED)
        record.due = None
        state.let_go()
    if state.simple or record.removed or record.spec.restart is RestartType.TEMPORARY:
        state.drop(record)  # also one that update() has listed and nobody has started
    plan.append(Reply(request.token))


def find(state: SupervisorState, id: str) -> ChildRecord:
    if state.simple:
        raise make_error(ErrorKind.INVALID, "children of simple_one_for_one have no id")
    key = state.by_id.get(id)
    if key is None:
        raise make_error(ErrorKind.NOT_FOUND, f"no child {id!r}")
    return state.children[key]


def find_dynamic(state: SupervisorState, pid: str) -> ChildRecord:
    """A child of simple_one_for_one by PID (SU23); a restarting one by its last PID."""
    if not is_pid(pid):
        raise make_error(
            ErrorKind.INVALID, f"children of simple_one_for_one are addressed by PID, not {pid!r}"
        )
    key = state.by_pid.get(pid)
    if key is None:
        raise make_error(ErrorKind.NOT_FOUND, f"no child with PID {pid}")
    return state.children[key]


def expect_stopped(record: ChildRecord) -> None:
    if record.state in ALIVE:
        raise make_error(ErrorKind.CONFLICT, f"child {record.spec.id!r} is running")
    if record.state is not STOPPED:
        raise make_error(ErrorKind.CONFLICT, f"child {record.spec.id!r} is restarting")


def stopping() -> ProcessError:
    """The answer to every request once the supervisor stops."""
    return make_error(ErrorKind.UNAVAILABLE, "supervisor is shutting down")


def update(state: SupervisorState, spec: SupervisorSpec) -> None:
    """SU25. ``spec`` is checked, so nothing but the strategy can be wrong here."""
    simple = Strategy.SIMPLE_ONE_FOR_ONE
    if (spec.strategy is simple) is not state.simple:
        raise make_error(
            ErrorKind.INVALID,
            f"strategy cannot change from {state.spec.strategy} to {spec.strategy}",
        )
    state.spec = spec
    state.window = IntensityWindow(spec.intensity, spec.period, state.window.times)
    if state.simple:
        template = spec.children[0]
        stays = evolve(template, restart=RestartType.TEMPORARY)
        for record in state.children.values():
            # The arguments of a temporary child are not kept, so it cannot become another one.
            lasting = record.spec.restart is not RestartType.TEMPORARY
            record.spec = template if lasting else stays
        return
    old = {record.spec.id: record for record in state.children.values()}
    state.children = {}
    for child in spec.children:
        if child.id in old:
            record = old.pop(child.id)
            record.spec, record.removed = child, False
            state.children[record.key] = record
        else:
            state.add(child)
    for record in old.values():  # they end some day; the last in the list are the first to stop
        if record.state in ALIVE or record.state is EXITED:
            record.removed = True
            state.children[record.key] = record
        else:
            state.by_id.pop(record.spec.id, None)
    state.let_go()


# ---- queries: answered at any time, they change nothing ------------------------------------------


def info(record: ChildRecord, now: float) -> ChildInfo:
    alive = record.state in ALIVE
    return ChildInfo(
        id=record.spec.id,
        pid=record.pid if alive else None,
        state=SHOWN[record.state],
        type=record.spec.type,
        restart=record.spec.restart,
        restarts=record.restarts,
        uptime=now - record.since if alive and record.pid is not None else 0.0,
    )


def which_children(state: SupervisorState, now: float) -> list[ChildInfo]:
    """All children in start order."""
    return [info(record, now) for record in state.children.values()]


def get_child(state: SupervisorState, id: str, now: float) -> ChildInfo:
    """One child by id, or for simple_one_for_one by PID.

    Raises: ProcessNotFound, ProcessInvalid.
    """
    record = find_dynamic(state, id) if state.simple else find(state, id)
    return info(record, now)


def count_children(state: SupervisorState) -> ChildCount:
    records = list(state.children.values())
    supervisors = sum(record.spec.type is ChildType.SUPERVISOR for record in records)
    return ChildCount(
        specs=1 if state.simple else len(records),
        active=sum(record.state in ALIVE for record in records),
        supervisors=supervisors,
        workers=len(records) - supervisors,
    )
