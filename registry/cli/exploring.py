"""`trio-actors explore`: an application under many orders of its messages, kills and delays."""

from __future__ import annotations

import sys
from pathlib import Path

from trio_actors.testing import NO_FAULTS, Faults, ScheduleFailure, Vacuous
from trio_actors.testing.application import explore_application

from ..app import start_application
from ..definitions import Application
from . import USAGE


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
    try:
        faults = Faults(kill=kills, delay=delays) if kills or delays else NO_FAULTS
        explored = explore_application(
            lambda: start_application(application),
            name=name,
            schedules=schedules,
            seconds=seconds,
            faults=faults,
            replay=replay,
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
    sys.stdout.write(f"{name}: {explored}, {explored.seconds:g} s of virtual time\n")
    return 0
