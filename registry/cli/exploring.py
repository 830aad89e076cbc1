"""`trio-actors explore`: an application under many orders of its messages, kills and delays."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from attrs import define, field

from lua_bridge.modules.io import TERMINAL
from trio_actors.testing import (
    NO_FAULTS,
    Faults,
    ScheduleFailure,
    Sim,
    Unrepeatable,
    Vacuous,
    Violation,
)
from trio_actors.testing.application import CHECKED, explore_application

from ..app import App, start_application
from ..definitions import Application
from ..terminal import Terminal
from . import USAGE
from .runner import RunError, check_process

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


@asynccontextmanager
async def running(
    application: Application, process: str | None, arguments: Sequence[str]
) -> AsyncIterator[App]:
    """The application, with a process on its terminal that reads and prints nothing."""
    async with start_application(application) as app:
        if process is not None:
            host = app.terminal()
            nothing = Terminal(io.StringIO(), io.StringIO(), io.StringIO(), tuple(arguments))
            host.extensions[TERMINAL] = nothing
            await host.spawn(process, *arguments)
        yield app


@define
class Progress:
    """Says on a stream what is done, how far it is, and how long it may still take."""

    name: str
    schedules: int
    stream: TextIO
    every: float = EVERY
    clock: Callable[[], float] = time.monotonic
    done: int = 0
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
        self.done = done
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
    process: str | None = None,
    arguments: Sequence[str] = (),
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
        if process is not None:
            check_process(application, process)
        faults = Faults(kill=kills, delay=delays) if kills or delays else NO_FAULTS
        if replay is None:
            progress.begin(seconds, faults)
        explored = explore_application(
            lambda: running(application, process, arguments),
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
    except Vacuous:
        why = "it starts no process by itself; name one with -x"
        sys.stderr.write(f"trio-actors explore: nothing of {name} was explored: {why}\n")
        return 1
    except Unrepeatable as differs:
        sys.stderr.write(f"trio-actors explore: {differs}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted after {progress.done} runs, all of which passed\n")
        raise
    except (ValueError, RunError) as wrong:
        sys.stderr.write(f"trio-actors explore: {wrong}\n")
        return USAGE
    virtual = f"{explored.seconds:g} s of virtual time in {progress.seconds:.1f} s"
    sys.stdout.write(f"{name}: {explored}, {virtual}\n")
    return 0
