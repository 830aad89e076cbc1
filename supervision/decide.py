"""What a supervisor does next: ``decide(state, event, now) -> plan``.

Rules: SU3-SU6, SU10-SU16, SU21-SU25, SU30 of the supervision specification. Where they are silent
this does what OTP's supervisor does.

Nothing here awaits or reads a clock. ``decide`` takes one event, updates the state and returns the
actions in the order in which they are to be carried out; the loop of the supervisor process is the
only one who acts. What the end of a child leads to stands in restarts.py.

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
from typing import assert_never

from supervision import administration
from supervision.restarts import Restarts
from supervision.state import (
    ALIVE,
    EXITED,
    RESTARTING,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    Again,
    Boot,
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
    ReportKind,
    RestartChild,
    StartChild,
    Started,
    StartFailed,
    Stop,
    SupervisorState,
    TerminateChild,
    Update,
)
from supervision.terms import ExitClass, RestartType


def decide(state: SupervisorState, event: Event, now: float) -> Plan:
    """Take one event and say what is to be done, in order. Checkpoint: never."""
    turn = _Turn(state, now)
    turn.take(event)
    turn.go_on()
    return tuple(turn.plan)


class _Turn(Restarts):
    """One event being handled; the methods add to the plan."""

    __slots__ = ()

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
            record.move(STARTING)
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
            if record is not None and record.state is EXITED:
                self.gone(record, None)
            if record is None or record.state not in ALIVE:
                continue  # it went by itself meanwhile (SU6)
            if record.state is not STOPPING:
                if record.state is RUNNING:
                    record.run_ends(self.now)
                record.move(STOPPING)
                self.plan.append(Halt(key, job.because))
            job.waiting.add(key)
            if not all_at_once:
                return

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
        if record.state is not STARTING:
            return  # a stop and the readiness crossed
        record.move(RUNNING)
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
        if record.state is STOPPING:
            self.gone(record, None)
            return
        assert job is not None
        job.waiting.discard(record.key)
        if job.kind is JobKind.SHUTDOWN:  # its start was in progress when the stop began
            self.gone(record, None)
            return
        if event.final and job.kind is JobKind.RESTART:  # SU9: whoever ends the program goes on
            record.move(STOPPED)
            state.job = None
            return
        self.report(ReportKind.START_FAILED, record, event.error)
        match job.kind:
            case JobKind.BOOT:
                record.move(STOPPED)
                reason = f"child {record.spec.id!r} failed to start"
                self.shut_down(End(reason, event.error, record.spec.id, event.pid))
            case JobKind.ADD | JobKind.REVIVE:
                record.move(STOPPED)
                state.job = None
                if job.kind is JobKind.ADD:
                    state.drop(record)
                self.plan.append(Refuse(job.token, event.error))
            case JobKind.RESTART:
                record.move(RESTARTING)
                self.try_again(record, job, event)
            case JobKind.TERMINATE:
                raise RuntimeError(f"{event} during {job.kind}")
            case _:
                assert_never(job.kind)

    # ---- children that end -----------------------------------------------------------------------

    def ended(self, event: Ended | Lost) -> None:
        state = self.state
        record = state.children.get(event.key)
        if record is None:
            return
        if isinstance(event, Lost):
            self.report(ReportKind.ZOMBIE, record, event.stack)
            if record.state is STARTING:
                self.start_failed(StartFailed(event.key, "start timeout"))
            else:
                self.gone(record, None)
        elif record.state is STARTING:
            self.start_failed(StartFailed(event.key, event.error, event.final, event.pid))
        elif record.state is STOPPING:
            self.gone(record, event)
        elif record.state is RUNNING:
            abnormal = event.exit_class is ExitClass.ABNORMAL
            kind = ReportKind.FAILED if abnormal else ReportKind.EXITED
            self.report(kind, record, event.error)
            record.run_ends(self.now)
            if state.job is not None and event.key in state.job.stop:
                self.gone(record, event)  # SU6, and simultaneous failures of one group
            else:
                record.move(EXITED)
                record.exit = event
                if state.job is None and not state.backlog:
                    self.react(event)
                else:
                    state.backlog.append(event)
