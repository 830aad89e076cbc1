"""Which children an end takes along, when they come back, and when the supervisor gives up.

Rules: SU10-SU15, SU30 of the supervision specification. This file is the only one that knows
strategies. See decide.py for the job, the backlog and who waits for what.
"""

from collections import deque
from math import inf

from supervision.state import (
    ALIVE,
    EXITED,
    RESTARTING,
    STOPPED,
    Again,
    ChildRecord,
    End,
    Ended,
    Job,
    JobKind,
    ReportKind,
    StartFailed,
    Wake,
)
from supervision.terms import REACH, RESTARTS, AutoShutdown, Reach, RestartType
from supervision.turn import Turn


class Restarts(Turn):
    """What follows from the end of a child."""

    __slots__ = ()

    def react(self, event: Ended) -> None:
        """A child has ended by itself: the decision table."""
        state = self.state
        record = state.children.get(event.key)
        if record is None or record.state is not EXITED or record.exit is not event:
            return  # a group restart or a request has dealt with it
        if event.final:  # SU9: never restarted; whoever ends the program stops the others
            record.move(STOPPED)
            return
        if record.removed or not RESTARTS[record.spec.restart, event.exit_class]:
            self.leave(record)
            return
        record.move(RESTARTING)
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
        record.move(STOPPED)
        if state.simple or record.removed or record.spec.restart is RestartType.TEMPORARY:
            state.drop(record)
        if not record.spec.significant:
            return
        match state.spec.auto_shutdown:
            case AutoShutdown.NEVER:
                return
            case AutoShutdown.ALL_SIGNIFICANT:
                others = state.children.values()
                if any(o.spec.significant and o.state is not STOPPED for o in others):
                    return
            case AutoShutdown.ANY_SIGNIFICANT:
                pass
        reason = f"significant child {record.spec.id!r} has ended"
        self.shut_down(End(reason, pid=record.pid))

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
            elif record.state is RESTARTING:
                record.due = None  # from now on it waits with the others
            else:
                if record.state is EXITED:
                    record.move(STOPPED)
                record.move(RESTARTING)
        state.job = job

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

    def again(self, event: Again) -> None:
        """Begin the restart of one child, or of all members of the group that wait."""
        state = self.state
        if event.key is None:
            due, keys = state.group_due, state.group()
        else:
            record = state.children.get(event.key)
            alone = record is not None and record.state is RESTARTING
            due = record.due if record and alone else inf  # None: it waits with the others now
            keys = deque((event.key,)) if due is not None else deque()
        if not keys or (due is not None and due > self.now):
            return  # overtaken: terminated, restarted with a group, or put off
        if event.key is None:
            state.group_due = None
        state.job = Job(JobKind.RESTART, start=keys, together=event.key is None)
