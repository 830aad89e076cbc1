"""Virtual time: stands still until the pump moves it on (TS13)."""

from __future__ import annotations

from trio.abc import Clock

FAR = 999_999.0  # seconds that Trio may sleep for: the pump always wakes it


class SimClock(Clock):
    """A clock that only `advance` moves; it starts at 0."""

    def __init__(self) -> None:
        self.time = 0.0

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Seconds since the run began."""
        return self.time

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """0 for what is due; anything else waits for `advance`."""
        return 0.0 if deadline <= self.time else FAR

    def advance(self, seconds: float) -> None:
        """Time passes."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self.time += seconds
