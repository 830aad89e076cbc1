"""The live state of an application as tables and pictures. Pure: a snapshot's data in, text out.

Rules: SU41, SU42. The data is `Snapshot.as_data()`, as it comes through the control socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import attrs
from rich.cells import cell_len

from supervision.pictures import Branch
from trio_actors import format_duration

Data = Mapping[str, Any]

HEADINGS: Final = ("NAME", "PID", "STATE", "RESTARTS", "MAILBOX", "UPTIME", "ENTRY")
RIGHT: Final = {"RESTARTS", "MAILBOX", "UPTIME"}  # numbers
# How a table is made narrower: texts are shortened to so many cells, in this order, ...
SHORTENED: Final = (("ENTRY", 12), ("NAME", 24), ("STATE", 11), ("NAME", 16))
# ... and if that is not enough, columns are left out, the least important one first.
LEFT_OUT: Final = ("ENTRY", "UPTIME", "RESTARTS", "MAILBOX", "STATE")
MAX_DEPTH: Final = (
    40  # of a picture and of the indentation; deeper chains are cut off or drawn flat
)


class Order(StrEnum):
    """The order of the lines of `top`: of the tree, or the most first."""

    TREE = "tree"
    MAILBOX = "mailbox"
    RESTARTS = "restarts"
    UPTIME = "uptime"


def uptime(seconds: float) -> str:
    """Whole seconds, in the usual form."""
    return format_duration(int(seconds) * 1_000_000_000)


def ordered(rows: Sequence[Data], by: Order) -> list[Data]:
    """The rows with the most of something first; `tree` keeps the order of the tree."""
    return list(rows) if by is Order.TREE else sorted(rows, key=lambda row: -float(row[by]))


def cells(row: Data, *, indented: bool) -> tuple[str, ...]:
    """One line of the table."""
    state = f"{row['state']} ({row['note']})" if row["note"] else row["state"]
    return (
        ("  " * min(row["depth"], MAX_DEPTH) if indented else "") + title(row),
        row["pid"] or "-",
        state,
        str(row["restarts"]),
        str(row["mailbox"]),
        uptime(row["uptime"]) if row["pid"] else "-",
        row["entry"] or "-",
    )


def title(row: Data) -> str:
    """What a row is called."""
    return str(row["name"] or row["entry"] or row["key"])


def process_table(data: Data, by: Order = Order.TREE) -> list[tuple[str, ...]]:
    """Headings, then one line per row."""
    rows = ordered(data["rows"], by)
    return [HEADINGS, *(cells(row, indented=by is Order.TREE) for row in rows)]


def pool_table(data: Data) -> list[tuple[str, ...]]:
    """Headings, then one line per function with a pool; nothing if there is none."""
    keys = ("function", "type", "workers", "busy", "queued", "completed", "failed")
    lines = [tuple(str(pool[key]) for key in keys) for pool in data["pools"]]
    return [tuple(key.upper() for key in keys), *lines] if lines else []


def columns(table: Sequence[Sequence[str]]) -> str:
    """A table as text, numbers to the right; nothing is cut off."""
    if not table:
        return ""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    to_right = [heading in RIGHT for heading in table[0]]
    lines = []
    for line in table:
        parts = zip(line, widths, to_right, strict=True)
        texts = (text.rjust(width) if right else text.ljust(width) for text, width, right in parts)
        lines.append("  ".join(texts).rstrip())
    return "\n".join(lines)


def widths_within(table: Sequence[Sequence[str]], room: int) -> dict[str, int]:
    """The columns that fit into so many cells, with their widths, one cell between them.

    A PID is never shortened: nobody could do anything with a part of it.
    """
    whole = {column[0]: max(map(cell_len, column)) for column in zip(*table, strict=True)}
    for count in range(len(LEFT_OUT) + 1):
        widths = {name: width for name, width in whole.items() if name not in LEFT_OUT[:count]}
        surplus = sum(widths.values()) + len(widths) - room
        for name, least in SHORTENED:
            cut = min(surplus, max(0, widths.get(name, 0) - least))
            if cut > 0:
                widths[name] -= cut
                surplus -= cut
        if surplus <= 0:
            break
    return widths


def exit_lines(data: Data) -> list[str]:
    """The last ends, newest first, each with what brought it about below it."""
    lines = []
    for row in data["exits"]:
        first, *causes = row["chain"]
        lines.append(f"{uptime(row['ago'])} ago: {first}")
        lines += [f"  {cause}" for cause in causes]
    return lines


def ps_text(data: Data) -> str:
    """What `ps` prints: processes, then pools, then recent ends, as far as there are any."""
    parts = [columns(process_table(data)), columns(pool_table(data)), "\n".join(exit_lines(data))]
    return "\n\n".join(part for part in parts if part)


@attrs.define(slots=True)
class Rates:
    """What happened per second between two snapshots."""

    _before: Data | None = None

    def line(self, data: Data) -> str:
        """The head of a frame of `top`."""
        before, self._before = self._before or data, data
        seconds = data["at"] - before["at"]

        def rate(key: str) -> str:
            return f"{(data[key] - before[key]) / seconds:.1f}" if seconds > 0 else "-"

        return (
            f"{data['processes']} processes, {rate('delivered')} messages/s,"
            f" {rate('ended')} ends/s, {data['dead_letters']} dead letters"
        )


def live_tree(data: Data, name: str) -> Branch:
    """The rows as a picture's boxes."""
    children: dict[str | None, list[Data]] = {}
    for row in data["rows"]:
        children.setdefault(row["parent"], []).append(row)
    count = data["processes"]
    return Branch(name, f"{count} processes", tuple(_branches(children, None, 0)))


def _branches(
    children: Mapping[str | None, Sequence[Data]], key: str | None, depth: int
) -> Iterable[Branch]:
    for row in children.get(key, ()):
        detail, below = _detail(row), row["key"]
        if depth < MAX_DEPTH:
            yield Branch(title(row), detail, tuple(_branches(children, below, depth + 1)))
        else:
            yield Branch(title(row), detail + (", more below" if below in children else ""))


def _detail(row: Data) -> str:
    parts = [cells(row, indented=False)[2]]
    if row["pid"]:
        parts = [row["pid"], *parts, f"up {uptime(row['uptime'])}"]
    if row["restarts"]:
        parts.append(f"restarts {row['restarts']}")
    if row["mailbox"]:
        parts.append(f"mailbox {row['mailbox']}")
    return ", ".join(parts)
