"""What a run of the swarm comes to (pure)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs


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


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` of the ordered values lie; 0.0 if there are none."""
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)


def figures(
    processes: int,
    seconds: float,
    late: Sequence[float],
    memory: tuple[float, float],
    cpu: float = 0.0,
) -> Figures:
    """Sums up a run."""
    ordered = sorted(late)
    return Figures(
        processes,
        seconds,
        len(ordered),
        quantile(ordered, 0.5),
        quantile(ordered, 0.99),
        round(ordered[-1], 1) if ordered else 0.0,
        round(memory[0], 1),
        round(memory[1], 1),
        round(cpu * 1e6 / max(1, len(ordered)), 1),
    )
