"""How benchmarks are described, measured and shown.

A *workload* is one job; its *programs* do that job in different ways. The first program of each
workload is the raw Trio floor; everything else is shown as a multiple of it.

Rules: programs of one workload take turns within each round, so that a noisy neighbour hits all of
them alike; a rate counts CPU seconds of this process (`time.process_time`), not wall-clock ones;
the rate shown is that of the best round, since others on the machine only ever make a program
slower (sizes and delays: the median of the rounds); the garbage is collected right before each
measured part, and the collector stays on during it. Setting up (nurseries, spawning the partners)
is outside the measured part unless it is the job.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum

import attrs
import trio


class Stopwatch:
    """Measures the CPU seconds of a `with` block; several blocks add up."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._from = 0.0

    def __enter__(self) -> None:
        gc.collect()  # what the setting up has left is not part of what is measured
        self._from = time.process_time()

    def __exit__(self, *exc: object) -> None:
        self.seconds += time.process_time() - self._from


Run = Callable[[int, Stopwatch], Awaitable[int]]  # does about `size` operations, says how many


class Better(StrEnum):
    """Which way a figure is better."""

    HIGHER = "higher"
    LOWER = "lower"


@attrs.frozen(slots=True)
class Program:
    """One way to do a workload.

    Attributes:
        name: as shown, for example `async handlers`.
        run: an async function (size, stopwatch) -> operations; or, for figures that are not
            rates, a plain function (size) -> figure.
        goal: the multiple of the floor that is wanted at least (for sizes: the figure at most).
        divide: run this many times fewer operations, for programs that are much slower.
    """

    name: str
    run: Run | Callable[[int], float]
    goal: float | None = None
    divide: int = 1


@attrs.frozen(slots=True)
class Workload:
    """One job, done by several programs; the first of them is the floor."""

    name: str
    unit: str
    size: int
    programs: tuple[Program, ...]
    better: Better = Better.HIGHER
    rounds: int | None = None  # other than the number asked for


@attrs.frozen(slots=True)
class Row:
    """One line of the table."""

    workload: str
    program: str
    unit: str
    figure: float
    ratio: float
    goal: float | None
    better: Better
    floor: bool

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None if there is none."""
        if self.goal is None:
            return None
        if self.better is Better.LOWER:
            return self.figure <= self.goal
        return self.ratio >= self.goal


def measure(workload: Workload, program: Program, size: int) -> float:
    """One figure: operations per CPU second, or whatever a plain program returns."""
    if workload.better is Better.LOWER:
        figure: float = program.run(size)  # type: ignore[call-arg,assignment]
        return figure
    watch = Stopwatch()
    gc.collect()
    operations = trio.run(program.run, max(1, size // program.divide), watch)
    return operations / max(watch.seconds, 1e-9)


def run_workloads(
    workloads: Iterable[Workload],
    *,
    rounds: int,
    shrink: int,
    progress: Callable[[str], None],
) -> list[Row]:
    """Measures all programs, taking turns; one row each, in the order given.

    A round goes through all workloads, so what else the machine does for a while makes one round of
    many programs slower, not all rounds of one.
    """
    chosen = list(workloads)
    figures: list[dict[str, list[float]]] = [
        {program.name: [] for program in workload.programs} for workload in chosen
    ]
    for number in range(rounds):
        for workload, found in zip(chosen, figures, strict=True):
            if workload.rounds is not None and number >= workload.rounds:
                continue
            progress(f"round {number + 1} of {rounds}: {workload.name}")
            size = max(1, workload.size // shrink)
            for program in workload.programs:
                found[program.name].append(measure(workload, program, size))
    rows: list[Row] = []
    for workload, found in zip(chosen, figures, strict=True):
        of_rounds = max if workload.better is Better.HIGHER else statistics.median
        rows += _rows(workload, {name: of_rounds(f) for name, f in found.items()})
    return rows


def _rows(workload: Workload, figures: dict[str, float]) -> Iterable[Row]:
    floor = figures[workload.programs[0].name]
    for index, program in enumerate(workload.programs):
        figure = figures[program.name]
        yield Row(
            workload.name,
            program.name,
            workload.unit,
            figure,
            figure / floor if floor else 0.0,
            program.goal,
            workload.better,
            index == 0,
        )


HEADINGS = ("workload", "program", "figure", "unit", "x raw Trio", "goal", "")


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table as text, one tuple per row; a workload's name stands only in its first row."""
    table = []
    last = ""
    for row in rows:
        verdict = {None: "", True: "met", False: "missed"}[row.met]
        table.append(
            (
                "" if row.workload == last else row.workload,
                row.program,
                format_figure(row.figure),
                row.unit,
                "1" if row.floor else f"{row.ratio:.2f}",
                _goal(row),
                verdict,
            )
        )
        last = row.workload
    return table


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    return f"<= {row.goal:g} {row.unit}" if row.better is Better.LOWER else f">= {row.goal:g}x"


def format_figure(figure: float) -> str:
    """Three significant digits: `1.45M`, `88.2k`, `3.64`."""
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if figure >= limit:
            scaled = figure / limit
            return f"{scaled:.2f}{suffix}" if scaled < 100 else f"{scaled:.0f}{suffix}"
    return f"{figure:.2f}" if figure < 100 else f"{figure:.0f}"


def markdown(rows: Sequence[Row]) -> str:
    """The table for a README."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *cells(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(rows: Sequence[Row]) -> str:
    """The table for any terminal."""
    lines = [HEADINGS, *cells(rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    right = {2, 4}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
