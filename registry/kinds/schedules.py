"""`schedule.job`: a function called at intervals or by a cron expression (extra `schedule`).

Intervals follow Trio's clock, cron expressions the wall clock of the node, which may jump: it is
set, or the machine slept. So the wall clock is looked at again while a job waits, and what has been
missed is left out, however much that is.

Daylight saving, as cron has it: a time of day that is left out in spring comes at once after the
gap, one that comes twice in autumn is used the first time, and `*` goes through both hours.

Rules: SJ1 (no drift; five fields in a time zone), SJ2-SJ4, section 13 (fields).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from math import floor, inf
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import attrs
import trio
from cronsim import CronSim, CronSimError

from trio_actors import ProcessContext, ProcessError
from trio_actors.fields import shown

from ..fields import FunctionRef, Seconds, Text, setting
from ..kind import Definition, Definitions, Finding
from .lifecycle import Lifecycle
from .queues import RunningKind

if TYPE_CHECKING:
    from ..app import App

log = logging.getLogger("trio_actors.schedules")
LOOK = 600.0  # seconds after which the wall clock is looked at again
TOLERANCE = 1.0  # seconds that a run may be late


@attrs.frozen(slots=True)
class Job:
    """When a function is called, and how."""

    func: FunctionRef = setting("what is called")
    cron: Text | None = setting("minute hour day month weekday", default=None)
    interval: Seconds | None = setting("time between two runs", default=None)
    input: tuple[Any, ...] = setting("arguments", default=())
    timezone: Text = setting("time zone of `cron`", default="UTC")
    overlap: Literal["skip", "parallel"] = setting(
        "what happens when a run is due while one is active", default="skip"
    )
    options: dict[str, Any] = setting("call options", factory=dict)
    lifecycle: Lifecycle = setting("when the schedule runs", factory=Lifecycle)


def due_times(job: Job, start: float, after: float | None = None) -> Iterator[float]:
    """The moments of the runs of a job that began at `start`, those after `after` only.

    Units: seconds, of the wall clock for `cron`.
    """
    after = start if after is None else after
    if job.interval is not None:
        number = max(1, floor((after - start) / job.interval) + 1)
        while True:
            yield start + number * job.interval
            number += 1
    assert job.cron is not None
    begin = datetime.fromtimestamp(after, UTC).astimezone(ZoneInfo(job.timezone))
    for moment in CronSim(job.cron, begin):
        yield moment.timestamp()


async def run_job(ctx: ProcessContext, job: Job) -> None:
    """Call the function at every due time until CANCEL comes: a process's main."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_runs, ctx, job)
        await ctx.events.receive()
        nursery.cancel_scope.cancel()  # SJ4: a running call is cancelled


async def _runs(ctx: ProcessContext, job: Job) -> None:
    active = 0

    async def once() -> None:
        nonlocal active
        active += 1
        try:
            await ctx.node.functions.call_from(ctx, job.func, job.input, job.options)
        except ProcessError as error:
            fields = {"job": ctx.id, "kind": str(error.kind)}
            log.error("job %s failed: %s", ctx.id, error, extra=fields)
        finally:
            active -= 1

    clock, look = (ctx.node.wall_time, LOOK) if job.interval is None else (ctx.node.now, inf)
    start = clock()
    times = due_times(job, start)
    async with trio.open_nursery() as nursery:
        while True:
            due = next(times, None)
            if due is None:  # it never comes again
                break
            late = await _reached(due, clock, look)
            if late > TOLERANCE:  # SJ3: missed times are not made up
                log.warning("job %s missed a run", ctx.id, extra={"job": ctx.id, "late": late})
                times = due_times(job, start, clock())
            elif active and job.overlap == "skip":
                log.warning("job %s skipped: still running", ctx.id, extra={"job": ctx.id})
            else:
                nursery.start_soon(once)


async def _reached(due: float, clock: Callable[[], float], look: float) -> float:
    """Wait for a moment; returns how late it is then. Checkpoint: always."""
    await trio.lowlevel.checkpoint()
    while True:
        late = clock() - due
        if late >= 0:
            return late
        await trio.sleep(min(-late, look))


class JobKind(RunningKind):
    """`schedule.job`."""

    model = Job
    doc = "A function called at intervals or by a cron expression (extra `schedule`)."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """One of cron and interval, a cron expression, a time zone."""
        yield from super().findings(definition, others)
        job: Job = definition.model
        if (job.cron is None) == (job.interval is None):
            got = "neither" if job.cron is None else "both"
            yield Finding((), "exactly one of cron and interval", got)
        if job.interval is not None and job.interval <= 0:
            yield Finding(("interval",), "a duration above 0", "0")
        if job.cron is not None:
            try:
                if len(job.cron.split()) != 5:
                    raise CronSimError("Wrong number of fields")
                CronSim(job.cron, datetime(2024, 1, 1, tzinfo=UTC))
            except CronSimError as error:
                expected = "five fields: minute hour day month weekday"
                yield Finding(("cron",), expected, f"{shown(job.cron)} ({error})")
        try:
            ZoneInfo(job.timezone)
        except (KeyError, ValueError, OSError):
            yield Finding(("timezone",), "the name of a time zone", shown(job.timezone))

    def main_of(self, app: App, definition: Definition) -> Callable[..., Any]:
        """Wait, call."""
        job: Job = definition.model

        async def main(ctx: ProcessContext) -> None:
            await run_job(ctx, job)

        return main


JOB = JobKind()
