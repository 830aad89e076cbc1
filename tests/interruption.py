"""Interrupts at a chosen task step, for tests that try every one of them."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import trio
from trio.testing import MockClock

STUCK = 30  # real seconds after which a run counts as stuck


class AtStep(trio.abc.Instrument):
    """Does something at the n-th task step since the first one of the program itself."""

    def __init__(self, n: int, what: Callable[[], None], first: str) -> None:
        self.left = n
        self.what = what
        self.first = first  # the end of the name of the program's first task
        self.begun = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.begun = self.begun or task.name.endswith(self.first)
        self.left -= self.begun
        if self.left == 0:
            self.left = -1
            self.what()


def ctrl_c() -> None:
    """What the key does."""
    signal.raise_signal(signal.SIGINT)


def run_interrupted(
    main: Callable[[], Awaitable[None]], step: int, what: Callable[[], None], first: str
) -> tuple[bool, bool]:
    """Run in virtual time; whether the step was reached, and whether Ctrl-C came out.

    Raises: TrioInternalError for a run that is stuck.
    """
    instrument = AtStep(step, what, first)
    interrupted = False
    with _not_stuck():
        try:
            trio.run(main, clock=MockClock(autojump_threshold=0), instruments=[instrument])
        except KeyboardInterrupt:
            interrupted = True
    return instrument.left <= 0, interrupted


@contextmanager
def _not_stuck() -> Iterator[None]:
    """Breaks the loop of a run that does not end: shields hold off everything else."""

    def stuck(number: int, frame: FrameType | None) -> None:
        raise RuntimeError("the run is stuck")

    before = signal.signal(signal.SIGALRM, stuck)
    signal.alarm(STUCK)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
