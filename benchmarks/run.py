"""Runs the benchmarks and prints one table of ratios to raw Trio: `python benchmarks/run.py`.

--only NAME   only workloads whose name contains NAME (may be repeated)
--quick       a tenth of the work, one round: shows that everything runs, not how fast
--rounds N    rounds of everything (default 3); the best is shown
--tasks       the async programs only, each process with a Trio task from the start
--write       also put the table into benchmarks/README.md
--list        print the names and stop
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import trio
from harness import HEADINGS, Row, Workload, cells, markdown, plain, run_workloads
from tasked import functions_have_tasks, with_a_task_each

FAMILIES = ("messages", "asking", "spawning", "links", "staying", "memory", "lua")
README = Path(__file__).with_name("README.md")
BEGIN = "<!-- table: written by run.py --write -->"
BEGIN_TASKS = "<!-- table: written by run.py --tasks --write -->"
END = "<!-- end of table -->"


def all_workloads() -> list[Workload]:
    """The workloads of all families, in the order of the table."""
    found: list[Workload] = []
    for family in FAMILIES:
        found += importlib.import_module(family).WORKLOADS
    return found


def choose(workloads: list[Workload], only: list[str]) -> list[Workload]:
    """Those whose name contains one of the words; all if there are no words."""
    chosen = [w for w in workloads if not only or any(o in w.name for o in only)]
    if not chosen:
        names = ", ".join(w.name for w in workloads)
        sys.exit(f"--only {' '.join(only)}: no such workload; there are: {names}")
    return chosen


def show(rows: list[Row]) -> None:
    """Prints the table, with rich if it is installed and somebody looks."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(plain(rows))
        return
    console = Console()
    if not console.is_terminal:
        print(plain(rows))
        return
    table = Table(*HEADINGS)
    for row, line in zip(rows, cells(rows), strict=True):
        style = {None: "dim" if row.floor else "", True: "green", False: "yellow"}[row.met]
        table.add_row(*line, style=style)
    console.print(table)


def write(rows: list[Row], begin: str = BEGIN, readme: Path = README) -> None:
    """Replaces the table between the two marks of the README."""
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(END)
    about = (
        f"Python {platform.python_version()}, trio {trio.__version__}, {platform.system()}"
        f" {platform.machine()}, {time.strftime('%Y-%m-%d')}."
    )
    readme.write_text(
        f"{before}{begin}\n{about}\n\n{markdown(rows)}\n{END}{after}", encoding="utf-8"
    )


def progress_to(stream: object) -> Callable[[str], None]:
    """Says on standard error what is being measured, when somebody looks."""
    if not sys.stderr.isatty():
        return lambda name: None
    return lambda name: print(f"\r\x1b[K{name} ...", end="", file=sys.stderr, flush=True)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    found = all_workloads()
    if options.tasks:
        found = list(with_a_task_each(found))
    workloads = choose(found, options.only)
    if options.list:
        print("\n".join(w.name for w in workloads))
        return
    with functions_have_tasks() if options.tasks else nullcontext():
        rows = run_workloads(
            workloads,
            rounds=1 if options.quick else options.rounds,
            shrink=10 if options.quick else 1,
            progress=progress_to(sys.stderr),
        )
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    show(rows)
    if options.write:
        if options.only or options.quick:
            sys.exit("--write needs the whole run, without --only and --quick")
        write(rows, BEGIN_TASKS if options.tasks else BEGIN)


if __name__ == "__main__":
    main()
