"""Policies that choose the next step: a schedule, a prefix of choices, and three random ones.

- `ByLateness` replays a schedule. It is the definition of what a schedule means.
- `ByPlan` makes given choices, then goes on in order: what DPOR needs.
- `Priorities` is PCT: each sender has a random priority, and at few random moments the leader of
  that moment falls to the end. A bug that needs d orderings is found with probability at least
  1 / (senders * steps^(d-1)): a sender can be starved for a whole run, as random walk never does.
- `PartialOrderSampling` gives each message a random priority and draws anew for those that race.
- `RandomWalk` is uniform.
"""

from __future__ import annotations

import random
from math import inf
from typing import TYPE_CHECKING

from trio_actors.testing.dpor import awake
from trio_actors.testing.schedule import MessageId, Schedule

if TYPE_CHECKING:
    from trio_actors.testing.delivery import Delivery
    from trio_actors.testing.dpor import Choice, Footprint
    from trio_actors.testing.pump import Policy, Pump


class ByLateness:
    """Oldest first, except for what the schedule holds back."""

    wants_enabled = False

    def __init__(self, schedule: Schedule = Schedule.FIFO) -> None:
        self._late = schedule.late

    def choose(self, pump: Pump, heads: list[Delivery]) -> Delivery | None:
        """The oldest that is not held; else time; else what is held least."""
        late = self._late
        if not late:
            return heads[0]
        made = len(pump.steps)
        least = inf
        next_up = heads[0]
        for head in heads:
            left = late.get(head.id, 0) - (made - head.head_since)
            if left <= 0:
                return head
            if left < least:
                least = left
                next_up = head
        return None if pump.can_tick() else next_up


class Covered(Exception):
    """Every way to go on from here is equivalent to a run that was made."""


class ByPlan:
    """Makes the given choices, then goes on oldest first, but never with what sleeps (DPOR)."""

    wants_enabled = True

    def __init__(self, prefix: list[Choice], sleep: dict[Choice, Footprint]) -> None:
        self._prefix = prefix
        self._sleep = sleep
        self._seen = 0  # steps that `sleep` accounts for
        self.missed = False  # a choice was impossible: the run is not what was planned

    def choose(self, pump: Pump, heads: list[Delivery]) -> Delivery | None:
        """The next of the prefix; then the oldest that is awake.

        Raises:
            Covered: everything possible sleeps.
        """
        made = len(pump.steps)
        if made < len(self._prefix):
            wanted = self._prefix[made]
            if wanted is None and pump.can_tick():
                return None
            for head in heads:
                if head.id == wanted:
                    return head
            self.missed = True
            raise Covered
        if not self._sleep:
            return heads[0]
        for step in pump.steps[max(self._seen, len(self._prefix) - 1, 0) :]:
            self._sleep = awake(self._sleep, step.footprint or {})
        self._seen = made
        for head in heads:
            if head.id not in self._sleep:
                return head
        if None not in self._sleep and pump.can_tick():
            return None
        raise Covered


class Priorities:
    """PCT over senders: see the head of the file. `steps` is the learnt length of a run."""

    wants_enabled = False

    def __init__(self, rng: random.Random, depth: int, steps: int) -> None:
        self._rng = rng
        self._priority: dict[str, float] = {}
        bound = max(2, steps)
        self._changes = {rng.randrange(1, bound) for _ in range(depth - 1)}
        self._lowest = 0.0

    def _of(self, sender: str) -> float:
        priority = self._priority.get(sender)
        if priority is None:
            priority = self._priority[sender] = self._rng.random()
        return priority

    def choose(self, pump: Pump, heads: list[Delivery]) -> Delivery | None:
        """A delivery of the sender with the highest priority; `clock` is a sender too."""
        best = heads[0]
        top = -inf
        for head in heads:
            priority = self._of(head.id.src)
            if priority > top:
                top, best = priority, head
        ticking = self._of("clock") > top and pump.can_tick()
        if len(pump.steps) in self._changes:
            self._lowest -= 1.0
            self._priority["clock" if ticking else best.id.src] = self._lowest
        return None if ticking else best


class PartialOrderSampling:
    """Each message draws a priority; after a step those for the same receiver draw again."""

    wants_enabled = False

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._priority: dict[MessageId, float] = {}

    def choose(self, pump: Pump, heads: list[Delivery]) -> Delivery | None:
        """The highest priority; time draws a low one at each step."""
        priority, rng = self._priority, self._rng
        best = heads[0]
        top = -1.0
        for head in heads:
            drawn = priority.get(head.id)
            if drawn is None:
                drawn = priority[head.id] = rng.random()
            if drawn > top:
                top, best = drawn, head
        if rng.random() ** 3 > top and pump.can_tick():
            return None
        for head in heads:
            if head.id.dst == best.id.dst:
                priority.pop(head.id, None)
        return best


class RandomWalk:
    """Every possible step is as likely as any other; time is half as likely."""

    wants_enabled = False

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def choose(self, pump: Pump, heads: list[Delivery]) -> Delivery | None:
        """One of them."""
        index = self._rng.randrange(2 * len(heads) + 1)
        if index == 2 * len(heads) and pump.can_tick():
            return None
        return heads[min(index // 2, len(heads) - 1)]


def portfolio(rng: random.Random, index: int, steps: int) -> tuple[Policy, str]:
    """The policy of the index-th random run and its name: PCT, sampling, walk, in turn."""
    match index % 6:
        case 0 | 3:
            return Priorities(rng, 2, steps), "pct"
        case 1:
            return PartialOrderSampling(rng), "pos"
        case 2:
            return Priorities(rng, 1, steps), "pct"
        case 4:
            return Priorities(rng, 3, steps), "pct"
        case _:
            return RandomWalk(rng), "random"
