"""The intensity window: how many restarts within a period are too many.

Rule: SU13. More than ``intensity`` restarts within the last ``period`` seconds, both ends of the
period included, exceed it. Old times are dropped when a new one is added, so at most
``intensity + 1`` are kept.
"""

from collections import deque

from attrs import Factory, define


@define
class IntensityWindow:
    """Counts restarts; the owner may change ``intensity`` and ``period`` at any time (SU25)."""

    intensity: int
    period: float
    times: deque[float] = Factory(deque)

    def add(self, now: float) -> bool:
        """Count one restart; true if that is still within the limits."""
        self.times.append(now)
        oldest = now - self.period
        while self.times[0] < oldest:
            self.times.popleft()
        return len(self.times) <= self.intensity
