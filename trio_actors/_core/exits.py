"""The node's memory of the last exits: for `wait` after the fact, and for `explain` (PH6, SU42)."""

from __future__ import annotations

from collections import deque
from itertools import islice

import attrs

from trio_actors._core.exit import OF_CHILDREN, CauseKind, Exit
from trio_actors._core.pid import Pid

REMEMBERED = 10_000
PART = 1_000


@attrs.define(slots=True)
class ExitRecord:
    """One end: who, by which code, how, and when (seconds of Trio's clock)."""

    pid: Pid
    id: str
    exit: Exit
    at: float


_Packed = tuple[int, str, Exit, float]  # its number, and the record without its PID
_Part = dict[Pid, _Packed]


class ExitMemory:
    """The last exits of a node, oldest forgotten first.

    They are kept in parts of PART ends each, so that an end costs one entry, and forgetting is
    dropping a part now and then. A part's ends that are beyond REMEMBERED do not count any more.
    """

    __slots__ = ("_parts", "_young", "total")

    def __init__(self) -> None:
        self._young: _Part = {}
        self._parts: deque[_Part] = deque((self._young,))  # oldest first
        self.total = 0

    def add(self, pid: Pid, id: str, exit: Exit, at: float) -> None:
        """Remembers an end."""
        self.total = total = self.total + 1
        if not total % PART:
            self._young = {}
            self._parts.append(self._young)
            while len(self._parts) * PART >= REMEMBERED + 2 * PART:
                self._parts.popleft()
        self._young[pid] = (total, id, exit, at)

    def _find(self, pid: Pid) -> _Packed | None:
        for part in reversed(self._parts):
            packed = part.get(pid)
            if packed is not None:
                return packed if packed[0] > self.total - REMEMBERED else None
        return None

    def get(self, pid: str) -> ExitRecord | None:
        """The end of a process, if remembered."""
        packed = self._find(Pid(pid))
        return None if packed is None else ExitRecord(Pid(pid), *packed[1:])

    def exit_of(self, pid: Pid) -> Exit | None:
        """How a process ended, if remembered."""
        packed = self._find(pid)
        return None if packed is None else packed[2]

    def latest(self, count: int) -> list[ExitRecord]:
        """The last ends, newest first."""
        newest = ((pid, part[pid]) for part in reversed(self._parts) for pid in reversed(part))
        return [
            ExitRecord(pid, *packed[1:]) for pid, packed in islice(newest, min(count, REMEMBERED))
        ]

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
