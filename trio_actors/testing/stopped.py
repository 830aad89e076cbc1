"""Runs that are stopped because nothing happens any more, or too much: who was where."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from trio_actors._core.places import FRAMEWORK, Places

if TYPE_CHECKING:
    from trio_actors.testing.pump import Pump


class Stopped(AssertionError):
    """The pump has stopped the run; `where` is the line of the test, as far as it is known."""

    where = ""


class Stuck(Stopped):
    """Nothing can ever happen any more, and somebody waits."""


class Restless(Stopped):
    """The system went on and on."""


def stuck(pump: Pump) -> Stuck:
    """With a line for each process that is alive."""
    places = Places()
    lines = ["nothing is in transit, no deadline is pending, and the test still waits"]
    for node in pump.nodes:
        for process in dict.values(node.processes):
            at = " and ".join(places.of(process)) or process.doing()
            lines.append(f"{pump.labels.seen(process.pid) or process.pid}: {at}")
    return Stuck("\n  ".join(lines))


def restless(steps: int) -> Restless:
    """With the remedy, which is the more usual one: the system is meant to go on."""
    return Restless(
        f"the system did not come to rest within {steps} steps; if it is meant to go on for ever,"
        " `sim.run_for(seconds)` lets it do so for a while"
    )


def last_line(trace: TracebackType | None) -> str:
    """The innermost line in a traceback that is no framework's."""
    found = ""
    while trace is not None:
        frame = trace.tb_frame
        if not frame.f_globals.get("__name__", "").startswith(FRAMEWORK):
            found = f"{frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
