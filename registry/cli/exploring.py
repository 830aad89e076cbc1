"""`trio-actors explore`: an application under many orders of its messages, kills and delays."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from attrs import define, field

from trio_actors.testing import NO_FAULTS, Faults, ScheduleFailure, Sim, Vacuous, Violation
from trio_actors.testing.application import CHECKED, explore_application

from ..app import App, start_application
from ..definitions import Application
from . import USAGE

EVERY = 5.0  # real seconds between two lines of progress
SERVES = "no service gives up while nothing was broken"


def services_serve(app: App, sim: Sim) -> None:
    """What an order of messages alone must not bring about.

    Raises:
        Violation: a service has given up although no fault has hit anything.
    """
    if sim.undisturbed:
        for status in app.supervisor.statuses():
            if status.gave_up:
                raise Violation(SERVES, f"{status.id}: {status.reason}")


@define
class Progress:
    """Says on a stream what is done, how far it is, and how long it may still take."""

    name: str
    schedules: int
    stream: TextIO
    every: float = EVERY
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _said: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self._said = self.clock()

    @property
    def seconds(self) -> float:
        """Real seconds since the beginning."""
        return self.clock() - self._began

    def begin(self, seconds: float, faults: Faults) -> None:
        """What is going to be done."""
        broken = f"kills {faults.kill:.1%}, delays {faults.delay:.1%} of all deliveries"
        lines = [
            f"{self.name}: {self.schedules} runs of {seconds:g} virtual seconds,"
            f" {broken if faults.any else 'no faults'}",
            "in each of them: it starts, it stops, and",
            *sorted(f"  {name}" for name in (SERVES, *(i.value for i in CHECKED))),
        ]
        self.stream.write("\n".join(lines) + "\n")

    def __call__(self, done: int) -> None:
        """So many runs are done."""
        now = self.clock()
        if now - self._said >= self.every:
            self._said = now
            left = (now - self._began) / done * (self.schedules - done)
            rate = done / (now - self._began)
            text = f"{done} of {self.schedules} runs, {rate:.0f}/s, about {left:.0f} s left"
            self.stream.write(f"{self.name}: {text}\n")
            self.stream.flush()


def explore(
    application: Application,
    name: str,
    *,
    schedules: int,
    seconds: float,
    kills: float,
    delays: float,
    replay: str | None,
    report: Path | None,
) -> int:
    """Explores; the exit code is 1 when a run failed, with the report on standard output."""
    progress = Progress(name, schedules, sys.stderr)
    try:
        faults = Faults(kill=kills, delay=delays) if kills or delays else NO_FAULTS
        if replay is None:
            progress.begin(seconds, faults)
        explored = explore_application(
            lambda: start_application(application),
            name=name,
            schedules=schedules,
            seconds=seconds,
            faults=faults,
            replay=replay,
            check=services_serve,
            progress=progress,
        )
    except ScheduleFailure as failure:
        sys.stdout.write(failure.report.text() + "\n")
        if report is not None:
            for path in failure.report.write(report):
                sys.stdout.write(f"written: {path}\n")
        return 1
    except Vacuous as nothing:
        sys.stderr.write(f"trio-actors explore: {nothing}\n")
        return 1
    except ValueError as wrong:
        sys.stderr.write(f"trio-actors explore: {wrong}\n")
        return USAGE
    virtual = f"{explored.seconds:g} s of virtual time in {progress.seconds:.1f} s"
    sys.stdout.write(f"{name}: {explored}, {virtual}\n")
    return 0
