"""What `--chaos` does: junk between the lines, and deaths. Pure, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

JUNK_EVERY = 60  # one junk line after so many real ones, on the average
GAP = (40, 120)  # lines from one death to the next

JUNK = (
    "",
    "-",
    "this is no access log",
    '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1"',
    '203.0.113.9 - - [17/May/2015 "GET / HTTP/1.1" 200 12 "-" "-"',
    '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" OK many "-" "-"',
    "\x16\x03\x01\x00\xa5\x01\x00\x00",
    b"\xff\xfe\x00\x01 not even text",
)


@attrs.define(slots=True, eq=False)
class Plan:
    """Who dies when, and which junk comes after which line.

    Attributes:
        seed: the same seed and the same victims give the same plan.
        victims: names of the processes that may die; each dies once before any dies again.
    """

    seed: int
    victims: Sequence[str] = ()
    deaths: int = 0
    _round: list[str] = attrs.field(factory=list)
    _next: int = 0
    _random: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._next = self._random.randint(*GAP)

    def junk(self, number: int) -> str | bytes | None:
        """The junk that follows real line `number`, if any does; depends on nothing else."""
        dice = random.Random(f"{self.seed}/{number}")
        return dice.choice(JUNK) if dice.randrange(JUNK_EVERY) == 0 else None

    def due(self, judged: int) -> list[str]:
        """Who dies now that `judged` lines have a verdict."""
        names: list[str] = []
        while self.victims and judged >= self._next:
            if not self._round:
                self._round = list(self.victims)
                self._random.shuffle(self._round)
            names.append(self._round.pop())
            self.deaths += 1
            self._next += self._random.randint(*GAP)
        return names
