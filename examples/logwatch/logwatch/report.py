"""The report process: the command line, the heir of the others' state, chaos, and the report.

It is the one process that must live: it owns the run. Everything else may be killed at any time.
"""

from __future__ import annotations

import argparse
import random
from typing import Any, Never

import attrs
import trio

from registry import Terminal, terminal
from trio_actors import ErrorKind, ProcessContext, ProcessNotFound, make_error

from .aggregate import Aggregate
from .chaos import Plan
from .ledger import Counts, Ledger
from .render import Display, as_json, as_text, open_display
from .roles import (
    AGGREGATOR,
    EVENT,
    LEDGER,
    READER,
    REPORT,
    events_to_inbox,
    is_cancel,
    tell,
    worker_name,
)
from .source import Source

MOST_WORKERS = 8  # services in _index.yaml
LAST_WORDS = 3.0  # seconds that lines in hand get when the run is cut short


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise make_error(ErrorKind.INVALID, f"{message}\n{self.format_usage().rstrip()}")


def parser() -> argparse.ArgumentParser:
    """The words after `-x logwatch:report --`."""
    words = _Parser(prog="logwatch:report", add_help=False)
    words.add_argument("path", help="an access log in the combined format; - reads standard input")
    words.add_argument("--json", action="store_true", help="the report as one JSON object")
    words.add_argument("--chaos", action="store_true", help="add junk lines and kill processes")
    words.add_argument("--seed", type=int, help="repeats a run with --chaos")
    words.add_argument("--workers", type=int, default=4, help=f"1 to {MOST_WORKERS}; default 4")
    return words


@attrs.define(slots=True, eq=False)
class Run:
    """One run: the options, the state of the roles, and what is known so far."""

    options: argparse.Namespace
    states: dict[str, Any]
    plan: Plan | None
    started: float
    counts: Counts = attrs.field(factory=Counts)
    settings: dict[str, Any] = attrs.field(factory=dict)
    rejects: dict[int, str] = attrs.field(factory=dict)
    starts: int = 0  # processes of the named roles that asked for their state
    partial: bool = False

    @classmethod
    def prepare(cls, words: tuple[str, ...]) -> Run:
        """Reads the command line and opens the input. Raises: ProcessError."""
        options = parser().parse_args(list(words))
        if not 1 <= options.workers <= MOST_WORKERS:
            text = f"--workers: expected 1 to {MOST_WORKERS}, got {options.workers}"
            raise make_error(ErrorKind.INVALID, text)
        try:
            source = Source.open(options.path)
        except OSError as error:
            text = f"cannot read {options.path}: {error.strerror}"
            raise make_error(ErrorKind.NOT_FOUND, text) from None
        plan = None
        if options.chaos:
            seed = random.randrange(1_000_000) if options.seed is None else options.seed
            names = [worker_name(i + 1) for i in range(options.workers)]
            plan = Plan(seed, [READER, LEDGER, AGGREGATOR, *names])
        states = {
            READER: source,
            LEDGER: Ledger(workers=options.workers, plan=plan),
            AGGREGATOR: Aggregate(),
        }
        return cls(options, states, plan, trio.current_time())

    def report(self) -> dict[str, Any]:
        """The report as data."""
        counts = self.counts
        aggregate: Aggregate = self.states[AGGREGATOR]
        found: dict[str, Any] = {
            "read": counts.read,
            "scored": counts.scored,
            "rejected": counts.rejected,
            "restarts": max(0, self.starts - 3) + counts.crashes + counts.kills,
            "alerts": aggregate.alerts(self.settings),
            "seconds": round(trio.current_time() - self.started, 3),
            "workers": self.options.workers,
            **aggregate.summary(),
            "rejects": [{"line": n, "reason": why} for n, why in sorted(self.rejects.items())],
        }
        if self.partial:
            found["unfinished"] = counts.unfinished
        if self.plan is not None:
            found["chaos"] = {
                "seed": self.plan.seed,
                "killed": self.plan.deaths,
                "crashes": counts.crashes,
                "injected": counts.injected,
                "injected_rejected": counts.injected_rejected,
                "injected_scored": counts.injected_scored,
            }
        return found


async def main(ctx: ProcessContext, *words: str) -> int:
    """Runs until the report is printed; its exit code is 0, or 1 if the accounts are wrong."""
    run = Run.prepare(words)
    source = run.states[READER]
    try:
        here = terminal(ctx)
        ctx.register(REPORT)
        with open_display(here, source, plain=run.options.json) as display:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(events_to_inbox, ctx)
                await _supervise(ctx, run, display)
                nursery.cancel_scope.cancel()
    finally:
        source.close()
    _print(here, run)
    chaos_ok = run.counts.injected == run.counts.injected_rejected + run.counts.injected_scored
    return 0 if run.partial or chaos_ok else 1


async def _supervise(ctx: ProcessContext, run: Run, display: Display) -> None:
    """Serves the roles until the ledger says that all is done."""
    with trio.CancelScope() as patience:
        async for message in ctx.inbox:
            match message.topic, message.payload:
                case "inherit", str(name) if message.sender is not None:
                    run.starts += 1
                    tell(ctx, message.sender, "state", run.states[name])
                case "heir", (name, state):
                    run.states[name] = state
                case "progress", Counts() as counts:
                    run.counts = counts
                    display.update(counts)
                    if run.plan is not None and not run.partial:
                        _kill(ctx, run.plan.due(counts.read))
                case "done", (counts, settings, rejects):
                    run.counts, run.settings, run.rejects = counts, settings, rejects
                    display.update(counts)
                    return
                case str(topic), event if topic == EVENT and is_cancel(event):
                    run.partial = True
                    patience.deadline = trio.current_time() + LAST_WORDS
                    tell(ctx, LEDGER, "stop", None)


def _kill(ctx: ProcessContext, names: list[str]) -> None:
    for name in names:
        try:
            ctx.terminate(name)
        except ProcessNotFound:  # dead already, which is as good
            pass


def _print(here: Terminal, run: Run) -> None:
    report = run.report()
    if run.options.json:
        here.print(as_json(report))
    else:
        as_text(here, report)
    here.flush()
