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


_Packed = tuple[Pid, str, Exit, float]  # as in the record


class _Part:
    """Up to PART ends. They are indexed when one is looked for: most ends nobody looks for."""

    __slots__ = ("_index", "ends", "first")

    def __init__(self, first: int) -> None:
        self.first = first  # the number of its first end
        self.ends: list[_Packed] = []
        self._index: dict[Pid, int] = {}

    def find(self, pid: Pid) -> int:
        """Where the end of this process is; -1 if it is not here."""
        for place in range(len(self._index), len(self.ends)):
            self._index[self.ends[place][0]] = place
        return self._index.get(pid, -1)


class ExitMemory:
    """The last exits of a node, oldest forgotten first.

    They are kept in parts of PART ends each, so that an end costs one entry, and forgetting is
    dropping a part now and then. A part's ends that are beyond REMEMBERED do not count any more.
    Times are noted as `Node.stamp` has them; `shift` makes Trio's of them.
    """

    __slots__ = ("_parts", "_young", "shift")

    def __init__(self, shift: float) -> None:
        self.shift = shift
        self._young = _Part(1)
        self._parts: deque[_Part] = deque((self._young,))  # oldest first

    @property
    def total(self) -> int:
        """How many processes have ended."""
        return self._last()

    def _last(self) -> int:
        """The number of the last end."""
        return self._young.first + len(self._young.ends) - 1

    def add(self, pid: Pid, id: str, exit: Exit, at: float) -> None:
        """Remembers an end."""
        ends = self._young.ends
        ends.append((pid, id, exit, at))
        if len(ends) >= PART:
            self._young = _Part(self._last() + 1)
            self._parts.append(self._young)
            while len(self._parts) * PART >= REMEMBERED + 2 * PART:
                self._parts.popleft()

    def _find(self, pid: Pid) -> _Packed | None:
        for part in reversed(self._parts):
            place = part.find(pid)
            if place >= 0:
                return part.ends[place] if part.first + place > self._last() - REMEMBERED else None
        return None

    def _record(self, packed: _Packed) -> ExitRecord:
        pid, id, exit, at = packed
        return ExitRecord(pid, id, exit, at + self.shift)

    def get(self, pid: str) -> ExitRecord | None:
        """The end of a process, if remembered."""
        packed = self._find(Pid(pid))
        return None if packed is None else self._record(packed)

    def exit_of(self, pid: Pid) -> Exit | None:
        """How a process ended, if remembered."""
        packed = self._find(pid)
        return None if packed is None else packed[2]

    def latest(self, count: int) -> list[ExitRecord]:
        """The last ends, newest first."""
        newest = (packed for part in reversed(self._parts) for packed in reversed(part.ends))
        return [self._record(packed) for packed in islice(newest, min(count, REMEMBERED))]

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
