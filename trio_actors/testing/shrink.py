"""Makes a failing schedule small: fewest annotations first, then the lowest numbers.

The theory: delta debugging (ddmin) over the list of annotations, faults first; then each number is
lowered, by halves and then by ones; then single annotations are tried again until none can go. The
result is 1-minimal: it fails, and without any one of its annotations it does not.

Pure: the generator yields schedules to try and is sent whether they fail.
"""

from __future__ import annotations

import math
from collections.abc import Generator

from trio_actors.testing.schedule import Annotation, Fault, Schedule

Shrinking = Generator[Schedule, bool, Schedule]


def shrink(schedule: Schedule) -> Shrinking:
    """The smallest schedule that still fails, starting from one that does."""
    items = schedule.annotations()
    if not items or (yield Schedule.FIFO):
        return Schedule.FIFO
    items = yield from _fewer(items)
    while True:
        lowered = yield from _lower(items)
        fewer = yield from _without_one(lowered)
        if fewer == items:
            return Schedule.of(fewer)
        items = fewer


def _fewer(items: list[Annotation]) -> Generator[Schedule, bool, list[Annotation]]:
    parts = 2
    while len(items) >= 2:
        size = max(1, len(items) // parts)
        chunks = [items[i : i + size] for i in range(0, len(items), size)]
        for chunk in chunks:
            if len(chunk) < len(items) and (yield Schedule.of(chunk)):
                items, parts = chunk, 2
                break
        else:
            for i in range(len(chunks)):
                rest = [item for j, chunk in enumerate(chunks) if j != i for item in chunk]
                if rest and (yield Schedule.of(rest)):
                    items, parts = rest, max(2, parts - 1)
                    break
            else:
                if size == 1:
                    break
                parts = min(len(items), parts * 2)
    return items


def _without_one(items: list[Annotation]) -> Generator[Schedule, bool, list[Annotation]]:
    index = 0
    while index < len(items) and len(items) > 1:
        rest = items[:index] + items[index + 1 :]
        if (yield Schedule.of(rest)):
            items, index = rest, 0
        else:
            index += 1
    return items


def _lower(items: list[Annotation]) -> Generator[Schedule, bool, list[Annotation]]:
    for index, item in enumerate(items):
        high = _number(item)
        low = 0  # does not fail, or is not worth trying
        while high - low > 1:
            tried = low + (1 if low == 0 else (high - low) // 2)
            changed = [*items[:index], _with(item, tried), *items[index + 1 :]]
            if (yield Schedule.of(changed)):
                items, high = changed, tried
            else:
                low = tried
    return items


def _number(item: Annotation) -> int:
    if item.fault is None:
        return item.late
    return math.ceil(item.fault.arg or 0.0)


def _with(item: Annotation, number: int) -> Annotation:
    if item.fault is None:
        return Annotation(item.id, number)
    return Annotation(item.id, fault=Fault(item.fault.kind, float(number)))
