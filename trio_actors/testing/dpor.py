"""Dynamic partial-order reduction: one run for each class of orders that can differ.

The theory (Flanagan and Godefroid, with sleep sets). A run is a sequence of steps. Two steps are
dependent if their footprints conflict. Step i happens before step j > i if they are dependent, if i
posted j's message, or through others. Two dependent steps race if j could have gone first: then a
run is planned that makes, at the point of i, a step that leads to j. A sleep set holds what was
tried already and has met nothing since that it depends on. When no plan is left, every possible
order is equivalent to one that was run: the system is verified, not sampled.

Pure: runs go in, prefixes of choices come out. Time that passes depends on everything, and a step
can take a deadline away so that no run shows it; so wherever time could pass, a run is planned. And
so that runs come to where it could, the steps that make it possible depend on those that make it
impossible (TICK), from the first run on that has a deadline: then all is planned anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from trio_actors.testing.footprint import TICK, TIMED, WRITE, conflict
from trio_actors.testing.schedule import MessageId

Choice = MessageId | None
Footprint = dict[Any, int]


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
        self._timed = False  # a run had a deadline
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
        if not self._timed and any(TIMED in made.footprint for made in run):
            self._timed = True
            if self._points:  # what was learnt was learnt as if time could never pass
                self._points = []
                self._started = False
                self.runs = 0
                return
        if not self._timed:
            for made in run:
                made.footprint.pop(TICK, None)
        self.runs += complete
        known = max(0, len(self._points) - 1)  # steps as in a run before: their races are planned
        self._extend(run)
        order = Order(run)
        for j in range(known, len(run)):
            for i in _bits(order.races[j]):
                self._plan(i, j, run, order.before)

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


class Order:
    """What comes before what in every order that is equivalent to a run; steps are bits.

    Attributes:
        before: for each step the earlier ones that must come before it.
        races: for each step the earlier ones that could have come right after it instead.
    """

    def __init__(self, run: list[Made]) -> None:
        self.before: list[int] = []
        self.races: list[int] = []
        self._touched: dict[Any, int] = {}
        self._alike: dict[tuple[Any, int], int] = {}  # those that commute with their like
        self._times = 0  # steps in which time passed
        self._pairs: dict[tuple[str, str], int] = {}  # the last step of each
        for index, made in enumerate(run):
            self._add(index, made)

    def _add(self, index: int, made: Made) -> None:
        meets = self._meets(index, made.footprint)
        forced = self._up_to(made.posted_in - 1)  # who posted it, and its pair's predecessors
        if made.choice is not None:
            pair = made.choice[:2]
            forced |= self._up_to(self._pairs.get(pair, -1))
            self._pairs[pair] = index
        before = nearest = 0
        left = meets | forced
        while left:
            latest = left.bit_length() - 1
            nearest |= 1 << latest
            before |= self._up_to(latest)
            left &= ~before
        self.before.append(before)
        self.races.append(nearest & meets & ~forced)

    def _up_to(self, step: int) -> int:
        """A step and all before it; nothing for -1."""
        return 0 if step < 0 else self.before[step] | 1 << step

    def _meets(self, index: int, footprint: Footprint) -> int:
        """The earlier steps that conflict with it: see `conflict`, here for all at once."""
        bit = 1 << index
        if ("time", "") in footprint:
            meets = bit - 1
            self._times |= bit
        else:
            meets = self._times
        touched, alike = self._touched, self._alike
        for resource, access in footprint.items():
            all_that_touch = touched.get(resource, 0)
            touched[resource] = all_that_touch | bit
            if access == WRITE:
                meets |= all_that_touch
            else:
                commuting = alike.get((resource, access), 0)
                alike[resource, access] = commuting | bit
                meets |= all_that_touch & ~commuting
        return meets


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, highest first."""
    while mask:
        bit = mask.bit_length() - 1
        mask ^= 1 << bit
        yield bit


def trace_class(run: list[Made]) -> tuple[Any, ...]:
    """The same value for all orders that are equivalent: the partial order of the steps."""
    before = Order(run).before
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
