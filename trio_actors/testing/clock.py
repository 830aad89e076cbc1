"""Virtual time, and the moment at which nothing else can happen (TS13).

Trio asks its clock how long it may sleep exactly when all tasks are blocked. That is when the pump
makes its next step, so no task has to wait for idleness, and a step costs one turn of Trio's loop.
Rejected: a pump task on `wait_all_tasks_blocked` (two turns of the loop for each step).
"""

from __future__ import annotations

from collections.abc import Callable

from trio.abc import Clock

FAR = 999_999.0  # seconds that Trio may sleep for


class SimClock(Clock):
    """Starts at 0 and stands still unless `on_idle` moves it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.on_idle: Callable[[float], float] | None = None

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Seconds since the run began."""
        return self.time

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Real seconds to sleep: 0 for what is due or when `on_idle` has done something."""
        if deadline <= self.time:
            return 0.0
        return FAR if self.on_idle is None else self.on_idle(deadline)
