"""The report as JSON, plain text or rich tables, and the progress bar while the run lasts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from registry import Terminal

from .ledger import Counts
from .source import Source

SHOWN = 10  # alerts in the text


class Display(Protocol):
    """What shows how far the run is."""

    def update(self, counts: Counts) -> None:
        """New numbers."""
        ...


class NoDisplay:
    """Shows nothing: not a terminal, or output for machines."""

    def update(self, counts: Counts) -> None:
        """Nothing."""


class Bar:
    """A rich progress bar on standard error."""

    def __init__(self, progress: Any, source: Source) -> None:
        self._progress = progress
        self._source = source
        self._task = progress.add_task("reading", total=source.size)

    def update(self, counts: Counts) -> None:
        """Bytes read, and the accounts."""
        text = f"{counts.scored} scored, {counts.rejected} rejected, {counts.crashes} crashes"
        self._progress.update(self._task, completed=self._source.consumed, description=text)


@contextmanager
def open_display(here: Terminal, source: Source, *, plain: bool) -> Iterator[Display]:
    """A progress bar if standard error is a terminal and rich is installed; else nothing."""
    bar = None if plain else _rich_progress(here)
    if bar is None:
        yield NoDisplay()
        return
    with bar:
        yield Bar(bar, source)


def _rich_progress(here: Terminal) -> Any:
    if not here.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        return None
    return Progress(console=Console(file=here.stderr), transient=True)


def as_json(report: dict[str, Any]) -> str:
    """One object on one line."""
    return json.dumps(report, ensure_ascii=False)


def lines_of(report: dict[str, Any]) -> list[str]:
    """The accounts, in sentences."""
    lines = [
        f"read {report['read']} = scored {report['scored']} + rejected {report['rejected']}"
        f"   ({report['workers']} workers, {report['restarts']} restarts,"
        f" {report['seconds']:.2f} s)"
    ]
    if "unfinished" in report:
        lines.append(f"cut short: {report['unfinished']} lines were taken but not judged")
    for reject in report["rejects"]:
        lines.append(f"rejected line {reject['line']}: {reject['reason']}")
    if "chaos" in report:
        chaos = report["chaos"]
        lines.append(
            f"chaos {chaos['seed']}: {chaos['killed']} processes killed,"
            f" {chaos['crashes']} crashes, {chaos['injected']} junk lines added and"
            f" {chaos['injected_rejected']} of them rejected (not counted above)"
        )
    statuses = ", ".join(f"{status}: {n}" for status, n in report["statuses"].items())
    lines.append(f"{report['clients']} clients, {report['bytes']:,} bytes, status {statuses}")
    return lines


def alert_rows(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The first alerts as cells."""
    return [
        (
            alert["client"],
            str(alert["score"]),
            str(alert["requests"]),
            ", ".join(f"{tag} {n}" for tag, n in alert["reasons"].items()),
        )
        for alert in report["alerts"][:SHOWN]
    ]


HEADINGS = ("client", "score", "requests", "reasons")


def as_text(here: Terminal, report: dict[str, Any]) -> None:
    """Prints the report for people: a rich table on a terminal, else plain columns."""
    title = f"{len(report['alerts'])} alerts"
    if len(report["alerts"]) > SHOWN:
        title += f", the first {SHOWN}"
    rows = alert_rows(report)
    table = _rich_table(here, title, rows)
    if table is None:
        here.print(title)
        widths = [max(len(row[i]) for row in [HEADINGS, *rows]) for i in range(len(HEADINGS))]
        for row in [HEADINGS, *rows]:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            here.print("  ".join(cells).rstrip())
    here.print("\n".join(lines_of(report)))


def _rich_table(here: Terminal, title: str, rows: list[tuple[str, str, str, str]]) -> Any:
    if not here.stdout.isatty():
        return None
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return None
    table = Table(*HEADINGS, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(file=here.stdout).print(table)
    return table
