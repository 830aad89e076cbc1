"""The versions of a registry: numbered states, and which of them is in force. Pure.

Rules: RG10 (linear, v0 is what was loaded, highest + 1, never reused), RG11, RG12, RG13.
"""

from __future__ import annotations

from bisect import bisect_left

import attrs

from trio_actors import ErrorKind, make_error

from .changes import State


@attrs.frozen(slots=True)
class Version:
    """A number; `str()` is `v5`."""

    id: int

    def __str__(self) -> str:
        return f"v{self.id}"


@attrs.frozen(slots=True)
class History:
    """Every version with its full state, and the version in force."""

    states: tuple[tuple[int, State], ...]
    current: int = 0

    @classmethod
    def of(cls, baseline: State) -> History:
        """The history of a registry that was just loaded."""
        return cls(((0, baseline),))

    def added(self, state: State) -> History:
        """One more version, in force from now on; its number is the highest + 1."""
        number = self.states[-1][0] + 1
        return History((*self.states, (number, state)), number)

    def moved(self, number: int) -> History:
        """Another version is in force; no version is made. Raises: ProcessNotFound."""
        self.state(number)
        return attrs.evolve(self, current=number)

    def state(self, number: int) -> State:
        """The full state at a version. Raises: ProcessNotFound."""
        for known, state in self.states:
            if known == number:
                return state
        raise make_error(ErrorKind.NOT_FOUND, f"version not found: v{number}")

    def numbers(self) -> list[int]:
        """All versions, ascending."""
        return [number for number, _ in self.states]

    def previous(self, number: int) -> int | None:
        """The neighbour before, None at the end."""
        numbers = self.numbers()
        place = bisect_left(numbers, number)
        return numbers[place - 1] if place > 0 else None

    def next(self, number: int) -> int | None:
        """The neighbour after, None at the end."""
        numbers = self.numbers()
        place = bisect_left(numbers, number) + 1
        return numbers[place] if place < len(numbers) else None
