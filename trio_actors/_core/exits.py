"""The node's memory of the last exits: for `wait` after the fact, and for `explain` (PH6, SU42)."""

from __future__ import annotations

from collections import deque

import attrs

from trio_actors._core.exit import OF_CHILDREN, CauseKind, Exit
from trio_actors._core.pid import Pid

REMEMBERED = 10_000


@attrs.define(slots=True)
class ExitRecord:
    """One end: who, by which code, how, and when (seconds of Trio's clock)."""

    pid: Pid
    id: str
    exit: Exit
    at: float


_Packed = tuple[Pid, str, Exit, float]  # a record as it is kept: a third of the time to make


class ExitMemory:
    """The last exits of a node, oldest forgotten first."""

    __slots__ = ("_by_pid", "_order", "total")

    def __init__(self) -> None:
        self._by_pid: dict[Pid, _Packed] = {}
        self._order: deque[Pid] = deque()
        self.total = 0

    def add(self, pid: Pid, id: str, exit: Exit, at: float) -> None:
        """Remembers an end."""
        self.total += 1
        if len(self._order) >= REMEMBERED:
            del self._by_pid[self._order.popleft()]
        self._order.append(pid)
        self._by_pid[pid] = (pid, id, exit, at)

    def get(self, pid: str) -> ExitRecord | None:
        """The end of a process, if remembered."""
        packed = self._by_pid.get(Pid(pid))
        return None if packed is None else ExitRecord(*packed)

    def exit_of(self, pid: Pid) -> Exit | None:
        """How a process ended, if remembered."""
        packed = self._by_pid.get(pid)
        return None if packed is None else packed[2]

    def latest(self, count: int) -> list[ExitRecord]:
        """The last ends, newest first."""
        newest = [self._order[-1 - i] for i in range(min(count, len(self._order)))]
        return [ExitRecord(*self._by_pid[pid]) for pid in newest]

    def chain(self, pid: str) -> list[ExitRecord]:
        """The end of a process, then the end that caused it, and so on to the root (SU42)."""
        found: list[ExitRecord] = []
        seen: set[str] = set()
        next_pid: str | None = pid
        while next_pid is not None and next_pid not in seen:
            seen.add(next_pid)
            record = self.get(next_pid)
            if record is None:
                break
            found.append(record)
            cause = record.exit.cause
            leads_on = cause.kind is CauseKind.LINK or cause.kind in OF_CHILDREN
            next_pid = cause.because or (cause.by if leads_on else None)
        return found
