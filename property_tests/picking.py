"""Two ways to make up a history: drawn by Hypothesis, which shrinks it, or rolled from a seed.

What Hypothesis draws is small most of the time, and much of it nearly the same; it is what one
wants to read when something fails. What is rolled is as long as it was meant to be, every time.
A history is written once, against `Pick`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import hypothesis.strategies as st
from attrs import field, frozen

from property_tests.profiles import times

T = TypeVar("T")


class Pick(Protocol):
    """Makes the choices of a history."""

    def one(self, items: Sequence[T]) -> T:
        """One of them; the first ones are the simple ones."""
        ...

    def real(self, low: float, high: float) -> float:
        """A number between them."""
        ...


@frozen
class Drawn:
    """By Hypothesis."""

    draw: st.DrawFn

    def one(self, items: Sequence[T]) -> T:
        """See `Pick`."""
        return self.draw(st.sampled_from(items))

    def real(self, low: float, high: float) -> float:
        """See `Pick`."""
        return self.draw(st.floats(low, high))


@frozen
class Rolled:
    """From a seed."""

    seed: int
    rng: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "rng", random.Random(self.seed))

    def one(self, items: Sequence[T]) -> T:
        """See `Pick`."""
        return self.rng.choice(items)

    def real(self, low: float, high: float) -> float:
        """See `Pick`."""
        return self.rng.uniform(low, high)


def some(pick: Pick, items: Iterable[T], size: int) -> list[T]:
    """So many of them, each at most once, in any order."""
    left = list(items)
    return [left.pop(pick.one(range(len(left)))) for _ in range(min(size, len(left)))]


def drawn(make: Callable[[Pick], T]) -> st.SearchStrategy[T]:
    """What `make` makes, as a strategy."""

    @st.composite
    def strategy(draw: st.DrawFn) -> T:
        return make(Drawn(draw))

    return strategy()


def rolled(make: Callable[[Pick], T], count: int) -> Iterable[tuple[int, T]]:
    """So many with their seeds, and `MORE` times as many at night."""
    return ((seed, make(Rolled(seed))) for seed in range(times(count)))


def check_rolled(check: Callable[[T], object], make: Callable[[Pick], T], count: int) -> None:
    """Checks so many rolled ones; a failure names its seed and shows what was rolled."""
    for seed, plot in rolled(make, count):
        try:
            check(plot)
        except BaseException as exc:
            exc.add_note(f"seed {seed}: {plot}")
            raise
