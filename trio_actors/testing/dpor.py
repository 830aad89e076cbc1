"""Dynamic partial-order reduction: one run for each class of orders that can differ.

The theory (Flanagan and Godefroid, with sleep sets). A run is a sequence of steps. Two steps are
dependent if their footprints conflict. Step i happens before step j > i if they are dependent, if i
posted j's message, or through others. Two dependent steps race if j could have gone first: then a
run is planned that makes, at the point of i, a step that leads to j. A sleep set holds what was
tried already and has met nothing since that it depends on. When no plan is left, every possible
order is equivalent to one that was run: the system is verified, not sampled.

Pure: runs go in, prefixes of choices come out. Time that passes depends on everything, and a step
can take a deadline away so that no run shows it; so wherever time could pass, a run is planned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from trio_actors.testing.footprint import conflict
from trio_actors.testing.schedule import MessageId

Choice = MessageId | None
Footprint = dict[Any, bool]


@attrs.define(slots=True)
class Made:
    """One step of a run, as DPOR sees it."""

    choice: Choice
    enabled: list[Choice]
    footprint: Footprint
    posted_in: int  # number of the step that posted the message, 1 for the first; 0 = before all


@attrs.define(slots=True)
class _Point:
    """A state that runs pass through: what was tried there and what is still to be tried."""

    enabled: list[Choice]
    chosen: Choice
    sleep: dict[Choice, Footprint]  # tried here or above, and independent of all since
    footprint: Footprint  # of the choice under way
    todo: dict[Choice, None] = attrs.field(factory=dict)
    tried: dict[Choice, None] = attrs.field(factory=dict)


class Dpor:
    """Plans runs until all orders are covered; `next_plan`, run it, `learn`, and again."""

    def __init__(self) -> None:
        self._points: list[_Point] = []
        self._started = False
        self.runs = 0  # complete ones, each of a class of its own

    def next_plan(self) -> tuple[list[Choice], dict[Choice, Footprint]] | None:
        """The choices to begin the next run with, and what sleeps at the last of them.

        None when everything is covered.
        """
        if not self._started:
            self._started = True
            return [], {}
        points = self._points
        while points:
            point = points[-1]
            point.sleep[point.chosen] = point.footprint
            while point.todo:
                choice = next(iter(point.todo))
                del point.todo[choice]
                if choice not in point.sleep:
                    point.chosen = choice
                    point.tried[choice] = None
                    return [p.chosen for p in points], dict(point.sleep)
            points.pop()
        return None

    def learn(self, run: list[Made], *, complete: bool = True) -> None:
        """Takes in a run that began with the plan; plans those that its races call for."""
        self.runs += complete
        self._extend(run)
        before = happens_before(run)
        for j in range(len(run)):
            for i in _races(run, before, j):
                self._plan(i, j, run, before)

    def _extend(self, run: list[Made]) -> None:
        points = self._points
        kept = len(points)
        for index, made in enumerate(run):
            if index < kept:
                points[index].footprint = made.footprint
                continue
            sleep: dict[Choice, Footprint] = {}
            if index:
                sleep = awake(points[index - 1].sleep, points[index - 1].footprint)
            point = _Point(made.enabled, made.choice, sleep, made.footprint)
            point.tried[made.choice] = None
            if None in made.enabled and made.choice is not None:
                point.todo[None] = None  # what was made instead may have taken the deadline away
            points.append(point)

    def _plan(self, i: int, j: int, run: list[Made], before: list[int]) -> None:
        """Source sets: at point i one first step of what does not depend on i, up to j."""
        point = self._points[i]
        rest = [k for k in range(i + 1, j) if not before[k] >> i & 1] + [j]
        first = []
        seen = 0
        for k in rest:
            if run[k].choice in point.enabled and not before[k] & seen:
                first.append(run[k].choice)
            seen |= 1 << k
        if any(choice in point.todo or choice in point.tried for choice in first):
            return
        for choice in first[:1] or point.enabled:
            if choice not in point.tried:
                point.todo[choice] = None


def awake(sleep: dict[Choice, Footprint], footprint: Footprint) -> dict[Choice, Footprint]:
    """What still sleeps after a step with this footprint."""
    return {choice: fp for choice, fp in sleep.items() if not conflict(fp, footprint)}


def happens_before(run: list[Made]) -> list[int]:
    """For each step the earlier steps that must come before it in every equivalent order: bits."""
    before: list[int] = []
    for j, later in enumerate(run):
        mine = 0
        if later.posted_in:
            mine = before[later.posted_in - 1] | 1 << later.posted_in - 1
        for i in range(j - 1, -1, -1):
            if not mine >> i & 1 and (
                conflict(run[i].footprint, later.footprint) or _same_pair(run[i], later)
            ):
                mine |= before[i] | 1 << i
        before.append(mine)
    return before


def _same_pair(a: Made, b: Made) -> bool:
    one, other = a.choice, b.choice
    return one is not None and other is not None and one.dst == other.dst and one.src == other.src


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, highest first."""
    while mask:
        bit = mask.bit_length() - 1
        mask ^= 1 << bit
        yield bit


def _races(run: list[Made], before: list[int], j: int) -> list[int]:
    """The earlier steps that could have come right after step j instead of before it."""
    later = run[j]
    through = 0  # what comes before through another step
    for k in _bits(before[j]):
        through |= before[k]
    possible = before[j] & ~through & ~_forced(run, before, j)
    return [i for i in _bits(possible) if conflict(run[i].footprint, later.footprint)]


def _forced(run: list[Made], before: list[int], j: int) -> int:
    """What must precede step j whatever the order: who posted it, and its pair's predecessors."""
    later = run[j]
    forced = 0
    if later.posted_in:
        forced = before[later.posted_in - 1] | 1 << later.posted_in - 1
    for i in _bits(before[j]):
        if _same_pair(run[i], later):
            forced |= before[i] | 1 << i
    return forced


def trace_class(run: list[Made]) -> tuple[Any, ...]:
    """The same value for all orders that are equivalent: the partial order of the steps."""
    before = happens_before(run)
    names = [str(made.choice) for made in run]
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(f"{name}#{seen[name]}")
    return tuple(
        sorted(
            (unique[j], tuple(sorted(unique[i] for i in _bits(before[j])))) for j in range(len(run))
        )
    )
