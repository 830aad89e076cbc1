"""What a run of the swarm comes to (pure)."""

from __future__ import annotations

import json
from array import array

import attrs

PER_MS = 10  # buckets per millisecond
LONGEST = 10_000  # milliseconds; what is later counts as that late, except for the latest of all


@attrs.frozen(slots=True)
class Figures:
    """Lateness in milliseconds, memory in MB; memory and CPU time are of the whole program."""

    processes: int
    seconds: float
    ticks: int
    late_p50: float
    late_p99: float
    late_max: float
    memory_first: float
    memory_last: float
    cpu_per_tick: float  # microseconds

    def as_json(self) -> str:
        """One JSON object."""
        return json.dumps(attrs.asdict(self))

    def as_text(self) -> str:
        """A few lines for people."""
        return (
            f"{self.processes} processes ticked {self.ticks} times in {self.seconds:g} s\n"
            f"late by {self.late_p50} ms (median), {self.late_p99} ms (99 %), "
            f"{self.late_max} ms (most)\n"
            f"memory {self.memory_first} MB after the start, {self.memory_last} MB at the end\n"
            f"CPU time {self.cpu_per_tick} µs per tick"
        )


@attrs.define(slots=True)
class Lateness:
    """How many ticks were how late, in steps of 0.1 ms: takes no more memory as they come."""

    ticks: int = 0
    latest: float = 0.0  # milliseconds
    _counts: array[int] = attrs.field(factory=lambda: array("Q", [0]) * (LONGEST * PER_MS + 1))

    def add(self, milliseconds: float) -> None:
        """Counts a tick that was so late; one before its time was not late."""
        self.ticks += 1
        self.latest = max(self.latest, milliseconds)
        self._counts[round(min(max(milliseconds, 0.0), LONGEST) * PER_MS)] += 1

    def quantile(self, part: float) -> float:
        """The lateness below which `part` of the ticks lie; 0.0 if there are none."""
        rank = min(self.ticks - 1, int(self.ticks * part))
        for bucket, count in enumerate(self._counts):
            rank -= count
            if rank < 0:
                return bucket / PER_MS
        return LONGEST


def figures(
    processes: int,
    seconds: float,
    late: Lateness,
    memory: tuple[float, float],
    cpu: float = 0.0,
) -> Figures:
    """Sums up a run."""
    return Figures(
        processes,
        seconds,
        late.ticks,
        late.quantile(0.5),
        late.quantile(0.99),
        round(late.latest, 1),
        round(memory[0], 1),
        round(memory[1], 1),
        round(cpu * 1e6 / max(1, late.ticks), 1),
    )
