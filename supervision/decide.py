"""What a supervisor does next: ``decide(state, event, now) -> plan``.

Rules: SU3-SU6, SU10-SU16, SU21-SU25, SU30 of the supervision specification. Where they are silent
this does what OTP's supervisor does.

Nothing here awaits or reads a clock. ``decide`` takes one event, updates the state and returns the
actions in the order in which they are to be carried out; the loop of the supervisor process is the
only one who acts. This file is the only one that knows strategies.

Theory. A supervisor does one thing at a time: its *job* is a list of stops followed by a list of
starts. What happens to children that the job does not touch, and what people ask for, waits in the
*backlog* and is handled in the order of arrival once the job is done, as OTP's supervisor does it
with its mailbox. Three things never wait: a stop of the supervisor, the answers of the job's own
children, and queries. A delay is no job: while children wait for their restart the supervisor is
idle, so it stays responsive (SU14).
Rejected: restarting the children of one_for_one side by side. It would give up the order of the
mailbox, on which the reasoning about every other case rests.
"""

from collections import deque
from math import inf
from typing import assert_never

from supervision import administration
from supervision.state import (
    ALIVE,
    Action,
    Again,
    Boot,
    ChildRecord,
    ChildState,
    DeleteChild,
    End,
    Ended,
    Event,
    Halt,
    Job,
    JobKind,
    Launch,
    Lost,
    Phase,
    Plan,
    Ready,
    Refuse,
    Reply,
    Report,
    ReportKind,
    RestartChild,
    StartChild,
    Started,
    StartFailed,
    Stop,
    SupervisorState,
    TerminateChild,
    Update,
    Wake,
)
from supervision.terms import REACH, RESTARTS, AutoShutdown, ExitClass, Reach, RestartType

_C = ChildState


def decide(state: SupervisorState, event: Event, now: float) -> Plan:
    """Take one event and say what is to be done, in order. Checkpoint: never."""
    turn = _Turn(state, now)
    turn.take(event)
    turn.go_on()
    return tuple(turn.plan)


class _Turn:
    """One event being handled; the methods add to the plan."""

    __slots__ = ("now", "plan", "state")

    def __init__(self, state: SupervisorState, now: float) -> None:
        self.state = state
        self.now = now
        self.plan: list[Action] = []

    # ---- events ----------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        match event:  # the most frequent ones first
            case Ended() | Lost():
                self.ended(event)
            case Started():
                self.started(event)
            case Boot() | Again():
                self.state.backlog.append(event)
            case StartFailed():
                self.start_failed(event)
            case Stop():
                self.shut_down(End(event.reason))
            case StartChild() | TerminateChild() | RestartChild() | DeleteChild() | Update():
                if self.state.phase in (Phase.STOPPING, Phase.ENDED):
                    self.plan.append(Refuse(event.token, administration.stopping()))
                else:
                    self.state.backlog.append(event)
            case _:
                assert_never(event)

    def go_on(self) -> None:
        """Work on the job and the backlog until something has to be waited for."""
        state = self.state
        while state.phase is not Phase.ENDED:
            if state.job is not None:
                if not self.work(state.job):
                    return
            elif state.backlog:
                self.handle(state.backlog.popleft())
            else:
                return

    def handle(self, event: Event) -> None:
        """Take an event of the backlog: no job is in progress."""
        state = self.state
        match event:
            case Ended():
                self.react(event)
            case Again():
                self.again(event)
            case Boot():
                state.phase = Phase.STARTING
                specs = () if state.simple else state.spec.children
                keys = deque([state.add(spec).key for spec in specs])
                state.job = Job(JobKind.BOOT, start=keys)
            case StartChild() | TerminateChild() | RestartChild() | DeleteChild() | Update():
                administration.handle(state, event, self.plan)
            case _:
                raise RuntimeError(f"{event} in the backlog")

    # ---- the job in progress ---------------------------------------------------------------------

    def work(self, job: Job) -> bool:
        """One step of the job; false if an answer has to be waited for."""
        if job.waiting:
            return False
        if job.stop:
            self.stop_next(job)
        elif job.kind is JobKind.RESTART and job.group:
            self.collect_group(job)
        elif job.start:
            key = job.start.popleft()
            record = self.state.children[key]
            record.move(_C.STARTING)
            record.due = None
            job.waiting.add(key)
            self.plan.append(Launch(key))
        else:
            self.finish(job)
        return True

    def stop_next(self, job: Job) -> None:
        """Stop the next child; those of simple_one_for_one all at once (SU5)."""
        all_at_once = self.state.simple and job.kind is JobKind.SHUTDOWN
        while job.stop:
            key = job.stop.popleft()
            record = self.state.children.get(key)
            if record is not None and record.state is _C.EXITED:
                self.gone(record, None)
            if record is None or record.state not in ALIVE:
                continue  # it went by itself meanwhile (SU6)
            if record.state is not _C.STOPPING:
                if record.state is _C.RUNNING:
                    record.run_ends(self.now)
                record.move(_C.STOPPING)
                self.plan.append(Halt(key, job.because))
            job.waiting.add(key)
            if not all_at_once:
                return

    def collect_group(self, job: Job) -> None:
        """The members of a group restart are down: start them, or let them wait."""
        state = self.state
        job.group = False
        due = max(job.due, state.group_due or job.due)
        if due > self.now:
            state.group_due = due
            self.plan.append(Wake(due, None))
        elif job.started:  # a failed attempt was undone: what arrived meanwhile comes first (SU14)
            state.backlog.append(Again(None))
        else:
            state.group_due = None
            job.start = state.group()

    def finish(self, job: Job) -> None:
        state = self.state
        state.job = None
        match job.kind:  # the most frequent one first
            case JobKind.RESTART:
                pass
            case JobKind.BOOT:
                state.phase = Phase.RUNNING
                self.plan.append(Ready())
            case JobKind.ADD | JobKind.REVIVE:
                self.plan.append(Reply(job.token, state.children[job.started[0]].pid))
            case JobKind.TERMINATE:
                self.plan.append(Reply(job.token))
            case JobKind.SHUTDOWN:
                state.phase = Phase.ENDED
                assert state.end is not None
                self.plan.append(state.end)
            case _:
                assert_never(job.kind)

    # ---- children that start ---------------------------------------------------------------------

    def started(self, event: Started) -> None:
        state = self.state
        record = state.children[event.key]
        if record.state is not _C.STARTING:
            return  # a stop and the readiness crossed
        record.move(_C.RUNNING)
        record.since = self.now
        last, record.pid = record.pid, event.pid
        if state.simple:
            state.by_pid.pop(last or "", None)
            state.by_pid[event.pid] = record.key
            if record.spec.restart is RestartType.TEMPORARY:
                record.args = ()  # SU23
        if state.job is not None:
            state.job.waiting.discard(record.key)
            state.job.started.append(record.key)
        self.report(ReportKind.STARTED, record)

    def start_failed(self, event: StartFailed) -> None:
        state, job = self.state, self.state.job
        record = state.children[event.key]
        if record.state is _C.STOPPING:
            self.gone(record, None)
            return
        assert job is not None
        job.waiting.discard(record.key)
        if job.kind is JobKind.SHUTDOWN:  # its start was in progress when the stop began
            self.gone(record, None)
            return
        if event.final and job.kind is JobKind.RESTART:  # SU9: whoever ends the program goes on
            record.move(_C.STOPPED)
            state.job = None
            return
        self.report(ReportKind.START_FAILED, record, event.error)
        match job.kind:
            case JobKind.BOOT:
                record.move(_C.STOPPED)
                reason = f"child {record.spec.id!r} failed to start"
                self.shut_down(End(reason, event.error, record.spec.id, event.pid))
            case JobKind.ADD | JobKind.REVIVE:
                record.move(_C.STOPPED)
                state.job = None
                if job.kind is JobKind.ADD:
                    state.drop(record)
                self.plan.append(Refuse(job.token, event.error))
            case JobKind.RESTART:
                record.move(_C.RESTARTING)
                self.try_again(record, job, event)
            case JobKind.TERMINATE:
                raise RuntimeError(f"{event} during {job.kind}")
            case _:
                assert_never(job.kind)

    def try_again(self, record: ChildRecord, job: Job, event: StartFailed) -> None:
        """A restart failed: it counts, and is tried again (SU12)."""
        delay = self.count_restart(record, event.error, event.pid)
        if delay is None:
            return
        state = self.state
        if not job.together:  # the strategy may have changed since it began
            state.job = None
            self.restart_later(record, delay)
            return
        job.start.clear()
        job.stop = deque(reversed(job.started))
        job.started = job.started or [record.key]  # not empty: the mark of a failed attempt
        job.due = self.now + delay
        job.because = event.pid
        job.group = True

    # ---- children that end -----------------------------------------------------------------------

    def ended(self, event: Ended | Lost) -> None:
        state = self.state
        record = state.children.get(event.key)
        if record is None:
            return
        if isinstance(event, Lost):
            self.report(ReportKind.ZOMBIE, record, event.stack)
            if record.state is _C.STARTING:
                self.start_failed(StartFailed(event.key, "start timeout"))
            else:
                self.gone(record, None)
        elif record.state is _C.STARTING:
            self.start_failed(StartFailed(event.key, event.error, event.final, event.pid))
        elif record.state is _C.STOPPING:
            self.gone(record, event)
        elif record.state is _C.RUNNING:
            abnormal = event.exit_class is ExitClass.ABNORMAL
            kind = ReportKind.FAILED if abnormal else ReportKind.EXITED
            self.report(kind, record, event.error)
            record.run_ends(self.now)
            if state.job is not None and event.key in state.job.stop:
                self.gone(record, event)  # SU6, and simultaneous failures of one group
            else:
                record.move(_C.EXITED)
                record.exit = event
                if state.job is None and not state.backlog:
                    self.react(event)
                else:
                    state.backlog.append(event)

    def gone(self, record: ChildRecord, event: Ended | None) -> None:
        """A child that was to be stopped is down."""
        state, job = self.state, self.state.job
        if record.state is _C.STOPPING and event is not None:
            self.report(ReportKind.STOPPED, record, event.error)
        record.move(_C.STOPPED)
        record.due = None
        if job is not None:
            job.waiting.discard(record.key)
        if state.simple or record.removed or record.spec.restart is RestartType.TEMPORARY:
            state.drop(record)
        elif job is not None and job.kind is JobKind.RESTART:
            record.move(_C.RESTARTING)

    def react(self, event: Ended) -> None:
        """A child has ended by itself: the decision table."""
        state = self.state
        record = state.children.get(event.key)
        if record is None or record.state is not _C.EXITED or record.exit is not event:
            return  # a group restart or a request has dealt with it
        if event.final:  # SU9: never restarted; whoever ends the program stops the others
            record.move(_C.STOPPED)
            return
        if record.removed or not RESTARTS[record.spec.restart, event.exit_class]:
            self.leave(record)
            return
        record.move(_C.RESTARTING)
        delay = self.count_restart(record, event.error, record.pid)
        if delay is None:
            return
        reach = REACH[state.spec.strategy]
        if reach is Reach.ITSELF:
            self.restart_later(record, delay)
        else:
            self.restart_group(record, reach, delay)

    def leave(self, record: ChildRecord) -> None:
        """A child that is not restarted: keep or drop its spec, and auto-shutdown (SU30)."""
        state = self.state
        record.move(_C.STOPPED)
        if state.simple or record.removed or record.spec.restart is RestartType.TEMPORARY:
            state.drop(record)
        if not record.spec.significant:
            return
        match state.spec.auto_shutdown:
            case AutoShutdown.NEVER:
                return
            case AutoShutdown.ALL_SIGNIFICANT:
                others = state.children.values()
                if any(o.spec.significant and o.state is not _C.STOPPED for o in others):
                    return
            case AutoShutdown.ANY_SIGNIFICANT:
                pass
        reason = f"significant child {record.spec.id!r} has ended"
        self.shut_down(End(reason, pid=record.pid))

    # ---- restarts --------------------------------------------------------------------------------

    def count_restart(self, record: ChildRecord, error: object, pid: str | None) -> float | None:
        """Count one restart; its delay, or None if it was one too many (SU13, SU15)."""
        state, backoff = self.state, record.spec.backoff
        if backoff is not None:
            record.failures += 1
        record.restarts += 1
        state.restarts += 1
        if not state.window.add(self.now):
            self.report(ReportKind.GAVE_UP, record, error)
            count, period = state.spec.intensity, state.spec.period
            state.gave_up = True
            why = f"more than {count} restarts within {period:g} s, the last of {record.spec.id!r}"
            self.shut_down(End(f"reached maximum restart intensity: {why}", pid=pid))
            return None
        delay = 0.0 if backoff is None else backoff.delay(record.failures, state.rng)
        self.report(ReportKind.RESTARTING, record, error, delay)
        return delay

    def restart_later(self, record: ChildRecord, delay: float) -> None:
        state = self.state
        if delay > 0:
            record.due = self.now + delay
            self.plan.append(Wake(record.due, record.key))
        elif state.backlog or state.job is not None:  # others came first
            record.due = self.now
            state.backlog.append(Again(record.key))
        else:
            state.job = Job(JobKind.RESTART, start=deque((record.key,)))

    def restart_group(self, culprit: ChildRecord, reach: Reach, delay: float) -> None:
        """Stop the members in reverse order; they start again when all are down (SU11)."""
        state = self.state
        members = list(state.children.values())
        if reach is Reach.LATER:
            members = members[members.index(culprit) :]
        job = Job(JobKind.RESTART, group=True, together=True, due=self.now + delay)
        job.because = culprit.pid
        for record in members:
            if record.state in ALIVE:
                job.stop.appendleft(record.key)
            elif record.removed or record.spec.restart is RestartType.TEMPORARY:
                state.drop(record)
            elif record.state is _C.RESTARTING:
                record.due = None  # from now on it waits with the others
            else:
                if record.state is _C.EXITED:
                    record.move(_C.STOPPED)
                record.move(_C.RESTARTING)
        state.job = job

    def again(self, event: Again) -> None:
        """Begin the restart of one child, or of all members of the group that wait."""
        state = self.state
        if event.key is None:
            due, keys = state.group_due, state.group()
        else:
            record = state.children.get(event.key)
            alone = record is not None and record.state is _C.RESTARTING
            due = record.due if record and alone else inf  # None: it waits with the others now
            keys = deque((event.key,)) if due is not None else deque()
        if not keys or (due is not None and due > self.now):
            return  # overtaken: terminated, restarted with a group, or put off
        if event.key is None:
            state.group_due = None
        state.job = Job(JobKind.RESTART, start=keys, together=event.key is None)

    # ---- the end ---------------------------------------------------------------------------------

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
            elif record.state is not _C.STOPPED:
                record.move(_C.STOPPED)
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

    # ---- reports ---------------------------------------------------------------------------------

    def report(
        self, kind: ReportKind, record: ChildRecord, reason: object = None, delay: float = 0.0
    ) -> None:
        if kind in self.state.unheard:
            return
        row = Report(kind, record.key, record.spec.id, record.pid, reason, record.restarts, delay)
        self.plan.append(row)
