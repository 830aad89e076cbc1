"""Timers of one node: messages that the clock sends to their owners when they are due (TS2).

One task of the node's nursery serves all timers; it exists only while timers were ever asked for.
A cancelled timer is never delivered late: it is marked at once, wherever its entry is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf
from time import perf_counter

import trio


def clocks() -> tuple[Callable[[], float], Callable[[], float], float]:
    """Trio's time, what goes as it goes, for times of messages, and what is between them; seconds.

    Trio's own clock is `perf_counter` plus a constant, and takes four times as long to read.
    """
    clock = trio.lowlevel.current_clock()
    if type(clock).__name__ != "SystemClock":
        return clock.current_time, clock.current_time, 0.0
    constant = max(clock.current_time() - perf_counter() for _ in range(5))  # one of them undelayed

    def now() -> float:
        return constant + perf_counter()

    return now, perf_counter, constant


class Timer:
    """A call that is due at a time of Trio's clock; `cancel()` is final and repeatable."""

    __slots__ = ("_action", "_clock", "due", "order")

    def __init__(self, clock: Clock, due: float, order: int, action: Callable[[], None]) -> None:
        self.due = due
        self.order = order  # of timers that are due together, the older comes first
        self._clock = clock
        self._action: Callable[[], None] | None = action

    @property
    def pending(self) -> bool:
        """True until it has fired or was cancelled."""
        return self._action is not None

    def cancel(self) -> bool:
        """The timer will not fire; True if it was pending."""
        was_pending = self._action is not None
        self._action = None
        if was_pending:
            self._clock.lapsed()
        return was_pending

    def fire(self) -> None:
        """Runs the action, once, unless cancelled."""
        action, self._action = self._action, None
        if action is not None:
            action()

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.order) < (other.due, other.order)


class Clock:
    """The timers of a node."""

    def __init__(self, start_task: Callable[[Callable[[], object]], None]) -> None:
        self._start_task = start_task
        self._heap: list[Timer] = []
        self._made = 0
        self._lapsed = 0  # cancelled timers that are still in the heap
        self._scope: trio.CancelScope | None = None
        self._running = False

    def at(self, due: float, action: Callable[[], None]) -> Timer:
        """Calls `action` at time `due` of Trio's clock, in the clock's task; it must not raise."""
        self._made += 1
        timer = Timer(self, due, self._made, action)
        heapq.heappush(self._heap, timer)
        if not self._running:
            self._running = True
            self._start_task(self.run)
        elif self._heap[0] is timer and self._scope is not None:
            self._scope.deadline = due
        return timer

    def lapsed(self) -> None:
        """A timer in the heap was cancelled; the heap is cleaned when half of it is such."""
        self._lapsed += 1
        if self._lapsed > 64 and self._lapsed * 2 > len(self._heap):
            self._heap = [timer for timer in self._heap if timer.pending]
            heapq.heapify(self._heap)
            self._lapsed = 0

    def next_due(self) -> float:
        """When the next pending timer is due; infinity if there is none."""
        while self._heap and not self._heap[0].pending:
            heapq.heappop(self._heap)
            self._lapsed = max(0, self._lapsed - 1)
        return self._heap[0].due if self._heap else inf

    def refresh(self) -> bool:
        """Forgets cancelled timers' times; True if Trio's next deadline may now be later."""
        if self._scope is None or self._scope.deadline >= (due := self.next_due()):
            return False
        self._scope.deadline = due
        return True

    async def run(self) -> None:
        """Fires timers in the order of their times, until cancelled."""
        while True:
            with trio.CancelScope(deadline=self.next_due()) as self._scope:
                await trio.sleep_forever()
            now = trio.current_time()
            while self.next_due() <= now:
                heapq.heappop(self._heap).fire()
