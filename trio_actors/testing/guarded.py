"""Do supervisors keep their promises: restart intensity (SU13) and the order of stops (SU5)?

The theory. Seen from outside, a restart is a start of a child whose process before ended by itself.
The supervisor counted it somewhere between that end and that start. So if more than `intensity`
restarts have all their ends and starts within one period, it has counted them within the period
too, and should have given up. Where one restart takes siblings along, restarts are counted only if
each began after the one before was done. Nothing here looks at the supervisor's own counter.

Children are asked to stop by CANCEL, or ended by force. At that moment no child that comes later
in the definition may be alive, nor one that was asked before: except that somebody asked for that
very stop, or that the other has used up its time (SU8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from trio_actors._core.exit import CauseKind, Exit
from trio_actors._core.guardian import Guardian, Place, Promise
from trio_actors._core.message import Message
from trio_actors._core.pid import Pid
from trio_actors._core.process import Process


@attrs.define(slots=True, eq=False)
class _Child:
    """The newest process of a child."""

    process: Process
    place: Place
    asked: bool = False  # to stop, by its supervisor
    alive: bool = True
    by_itself: bool = False
    ended_at: float = 0.0
    ended_in: int = 0  # number of the event


@attrs.frozen(slots=True)
class _Restart:
    """A child that ended by itself runs again."""

    ended_at: float
    ended_in: int
    started_at: float
    started_in: int


@attrs.define(slots=True, eq=False)
class _Group:
    """The children of one supervisor."""

    guardian: Process
    body: Guardian
    children: dict[str, _Child] = attrs.field(factory=dict)
    restarts: list[_Restart] = attrs.field(factory=list)
    requests: int = 0  # that may explain a stop out of order


class Guarded:
    """All supervisors of one run."""

    def __init__(self, now: Callable[[], float], label: Callable[[Pid], str]) -> None:
        self._now = now
        self._label = label
        self._groups: dict[Pid, _Group] = {}
        self._children: dict[Pid, tuple[_Group, _Child]] = {}
        self._events = 0

    def started(self, process: Process) -> str | None:
        """A process begins; what is wrong with that, if anything: SU13."""
        self._events += 1
        group = self._group(process)
        place = group.body.place_of(process.pid) if group is not None else None
        if group is None or place is None:
            return None
        before = group.children.get(place.id)
        child = group.children[place.id] = _Child(process, place)
        self._children[process.pid] = group, child
        if before is None or not before.by_itself:
            return None
        now = self._now()
        restart = _Restart(before.ended_at, before.ended_in, now, self._events)
        promise = group.body.promise()
        recent = [r for r in group.restarts if r.ended_at >= now - promise.period]
        group.restarts = [*recent, restart]
        if before.ended_at < now - promise.period:
            return None
        count = _counted(group.restarts, promise)
        if count <= promise.intensity:
            return None
        return (
            f"{self._label(group.guardian.pid)} has restarted {count} times within"
            f" {promise.period:g} s, allowed are {promise.intensity}"
        )

    def _group(self, process: Process) -> _Group | None:
        guardian = process.guardian
        if guardian is None:
            return None
        group = self._groups.get(guardian.pid)
        if group is None:
            body = getattr(guardian.drive, "body", None)
            if isinstance(body, Guardian):
                group = self._groups[guardian.pid] = _Group(guardian, body)
        return group

    def received(self, process: Process, message: Message) -> None:
        """A message was sent to a process: a request to a supervisor changes what is expected."""
        group = self._groups.get(process.pid)
        if group is not None and group.body.is_request(message):
            group.requests += 1
            group.restarts.clear()

    def asked(self, process: Process, by: Pid) -> str | None:
        """A process is asked to stop; what is wrong with that, if anything: SU5."""
        found = self._children.get(process.pid)
        if found is None or found[0].guardian.pid != by:
            return None
        group, child = found
        if child.asked:
            return None
        child.asked = True
        return self._out_of_order(group, child)

    def ended(self, pid: Pid, exit: Exit) -> str | None:
        """A process has ended; what is wrong with that, if anything: SU5."""
        self._events += 1
        group = self._groups.pop(pid, None)
        if group is not None and exit.cause.kind is not CauseKind.ABANDONED:
            for child in self._busy(group):
                return f"{self._label(pid)} has ended before its child {self._who(child)}"
        found = self._children.pop(pid, None)
        if found is None:
            return None
        group, child = found
        by_force = exit.cause.kind is CauseKind.TERMINATED and exit.cause.by == group.guardian.pid
        wrong = None
        if by_force and not child.asked and child.process.readiness is None:  # else a slow start
            wrong = self._out_of_order(group, child)
        child.alive = False
        child.ended_at, child.ended_in = self._now(), self._events
        child.by_itself = (
            not child.asked
            and not by_force
            and exit.cause.kind is not CauseKind.OUTSIDE  # SU9
            and (child.place.after_any_end or (exit.abnormal and not exit.shutdown))
        )
        return wrong

    def _busy(self, group: _Group) -> Iterator[_Child]:
        """Its children that are alive and have not used up their time."""
        now = self._now()
        for child in group.children.values():
            process = child.process
            if child.alive and process.forced is None and process.deadline > now:
                yield child

    def _out_of_order(self, group: _Group, child: _Child) -> str | None:
        if group.body.promise().at_once:
            return None
        for other in self._busy(group):
            if other is child:
                continue
            if other.asked:
                return f"{self._who(child)} is stopped while {self._who(other)} still stops"
            if _comes_later(other.place, child.place):
                if group.requests:
                    group.requests -= 1
                    return None
                return f"{self._who(child)} is stopped before {self._who(other)}"
        return None

    def _who(self, child: _Child) -> str:
        return f"{child.place.id} ({self._label(child.process.pid)})"


def _comes_later(one: Place, other: Place) -> bool:
    return one.number is not None and other.number is not None and one.number > other.number


def _counted(restarts: list[_Restart], promise: Promise) -> int:
    """So many of them the supervisor has counted at least."""
    if not promise.together:
        return len(restarts)
    count, done = 0, -1
    for restart in sorted(restarts, key=lambda r: r.started_in):
        if restart.ended_in > done:
            count += 1
            done = restart.started_in
    return count
