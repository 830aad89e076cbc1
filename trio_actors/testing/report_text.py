"""A run as a sequence diagram in plain text, and the data that all pictures are made of."""

from __future__ import annotations

import attrs

from trio_actors.testing.delivery import Step
from trio_actors.testing.schedule import plain_label

MOST_ROWS = 200
LINE, RIGHT, LEFT = "-", ">", "<"


@attrs.frozen(slots=True)
class Arrow:
    """A delivery."""

    src: int  # column
    dst: int
    text: str
    late: int  # steps it was held
    fault: str = ""


@attrs.frozen(slots=True)
class Note:
    """Something else: time that passed, an end, a fault."""

    text: str


@attrs.frozen(slots=True)
class Picture:
    """Columns, and rows in the order in which they happened."""

    columns: list[str]
    rows: list[Arrow | Note]


def picture_of(steps: list[Step]) -> Picture:
    """The steps of a run as columns and rows; columns in order of first appearance."""
    columns: dict[str, int] = {}

    def column(label: str) -> int:
        return columns.setdefault(label, len(columns))

    rows: list[Arrow | Note] = []
    skipped = max(0, len(steps) - MOST_ROWS)
    if skipped:
        rows.append(Note(f"{skipped} earlier steps"))
    for step in steps[skipped:]:
        delivery = step.delivery
        if delivery is None:
            text = f"time passes: {step.at:g} s"
            if rows and isinstance(rows[-1], Note) and rows[-1].text.startswith("time passes"):
                rows.pop()
            rows.append(Note(text))
        else:
            fault = str(delivery.fault) if delivery.fault is not None else ""
            src, dst = column(delivery.id.src), column(delivery.id.dst)
            rows.append(Arrow(src, dst, one_line(delivery.what), step.late, fault))
        effects = [effect for effect in step.effects if not effect.startswith("fault")]
        rows.extend(Note(one_line(effect)) for effect in effects)
    return Picture([one_line(plain_label(label)) for label in columns], rows)


def one_line(text: str) -> str:
    """A text as it may stand in every kind of picture: what cannot be printed is escaped."""
    if text.isprintable():
        return text
    shown = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def sequence_text(picture: Picture) -> str:
    """The picture in characters: a column each, an arrow per delivery, late ones marked."""
    longest = max((len(row.text) for row in picture.rows if isinstance(row, Arrow)), default=0)
    widths = max([len(name) for name in picture.columns] + [min(longest, 24) + 4, 10]) + 2
    count = len(picture.columns)
    left = widths // 2
    places = [left + index * widths for index in range(count)]
    total = widths * count

    def rails() -> list[str]:
        line = [" "] * total
        for place in places:
            line[place] = "|"
        return line

    heads = [" "] * total
    for name, place in zip(picture.columns, places, strict=True):
        start = max(0, place - len(name) // 2)
        heads[start : start + len(name)] = name
    lines = ["".join(heads[:total]).rstrip(), "".join(rails()).rstrip()]
    number = 0
    for row in picture.rows:
        if isinstance(row, Note):
            lines.append("".join(rails()).rstrip() + f"   * {row.text}")
            continue
        number += 1
        line = rails()
        _draw(line, places, row)
        marks = [f"late by {row.late}"] if row.late else []
        marks += [f"fault: {row.fault}"] if row.fault else []
        tail = f"   {number:>3}" + (f"  <== {', '.join(marks)}" if marks else "")
        lines.append("".join(line) + tail)
    return "\n".join(lines)


def _draw(line: list[str], places: list[int], row: Arrow) -> None:
    a, b = places[row.src], places[row.dst]
    if a == b:
        text = f"(self: {row.text})"[: len(line) - a - 2]
        line[a + 2 : a + 2 + len(text)] = text
        return
    low, high = min(a, b), max(a, b)
    for index in range(low + 1, high):
        line[index] = LINE
    room = high - low - 4
    text = row.text if len(row.text) <= room else row.text[: room - 1] + "~"
    start = low + 1 + (high - low - 1 - len(text)) // 2
    line[start : start + len(text)] = text
    if b > a:
        line[high - 1] = RIGHT
    else:
        line[low + 1] = LEFT
