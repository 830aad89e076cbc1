"""One event being handled by ``decide``: the plan as it grows, and what any step may add to it."""

from supervision import administration
from supervision.state import (
    ALIVE,
    RESTARTING,
    STOPPED,
    STOPPING,
    Action,
    ChildRecord,
    DeleteChild,
    End,
    Ended,
    Job,
    JobKind,
    Phase,
    Refuse,
    Report,
    ReportKind,
    RestartChild,
    StartChild,
    SupervisorState,
    TerminateChild,
    Update,
)
from supervision.terms import RestartType


class Turn:
    """The methods change the state and add to the plan."""

    __slots__ = ("now", "plan", "state")

    def __init__(self, state: SupervisorState, now: float) -> None:
        self.state = state
        self.now = now
        self.plan: list[Action] = []

    def report(
        self, kind: ReportKind, record: ChildRecord, reason: object = None, delay: float = 0.0
    ) -> None:
        if kind in self.state.unheard:
            return
        row = Report(kind, record.key, record.spec.id, record.pid, reason, record.restarts, delay)
        self.plan.append(row)

    def gone(self, record: ChildRecord, event: Ended | None) -> None:
        """A child that was to be stopped is down."""
        state, job = self.state, self.state.job
        if record.state is STOPPING and event is not None:
            self.report(ReportKind.STOPPED, record, event.error)
        record.move(STOPPED)
        record.due = None
        if job is not None:
            job.waiting.discard(record.key)
        if state.simple or record.removed or record.spec.restart is RestartType.TEMPORARY:
            state.drop(record)
        elif job is not None and job.kind is JobKind.RESTART:
            record.move(RESTARTING)

    def shut_down(self, end: End) -> None:
        """Stop all children in reverse order, then end (SU5, SU13, SU30)."""
        state = self.state
        if state.phase in (Phase.STOPPING, Phase.ENDED):
            return
        state.phase, state.end = Phase.STOPPING, end
        self.refuse_all()
        job = Job(JobKind.SHUTDOWN)
        for record in state.children.values():
            if record.state in ALIVE:
                job.stop.appendleft(record.key)
            elif record.state is not STOPPED:
                record.move(STOPPED)
        state.job = job

    def refuse_all(self) -> None:
        """Whoever waits for an answer is told that the supervisor stops."""
        state = self.state
        self.refuse_job()
        for event in state.backlog:
            if isinstance(event, StartChild | TerminateChild | RestartChild | DeleteChild | Update):
                self.plan.append(Refuse(event.token, administration.stopping()))
        state.backlog.clear()

    def refuse_job(self) -> None:
        """Whoever waits for the job in progress is told that the supervisor stops."""
        job = self.state.job
        if job is not None and job.token is not None:
            self.plan.append(Refuse(job.token, administration.stopping()))
