"""How long to wait before a restart: exponential backoff with jitter.

Rules: Y2 (services), SU15 (supervisors). Pure: the random generator is passed in. The delay is
capped first and jittered afterwards, so a cap of 90 s with a jitter of 0.1 gives 81 s to 99 s.
"""

import random

from attrs import Attribute, field, frozen


def _positive(_backoff: object, attribute: "Attribute[float]", value: float) -> None:
    if not value > 0:
        raise ValueError(f"{attribute.name} must be above 0, not {value}")


def _share(_backoff: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value}")


@frozen
class Backoff:
    """Delays that grow from ``initial_delay`` to ``max_delay``.

    Units: seconds.
    """

    initial_delay: float = field(default=1.0, validator=_positive)
    max_delay: float = field(default=90.0, validator=_positive)
    backoff_factor: float = field(default=2.0, validator=_positive)
    jitter: float = field(default=0.1, validator=_share)
    reset_after: float = field(default=5.0, validator=_positive)

    def capped(self, n: int) -> float:
        """The delay before the ``n``-th consecutive restart (1, 2, ...), without jitter."""
        try:
            grown = self.initial_delay * self.backoff_factor ** (n - 1)
        except OverflowError:  # 2.0 ** 1024: far beyond every cap
            return self.max_delay
        return min(grown, self.max_delay)

    def delay(self, n: int, rng: random.Random) -> float:
        """The delay before the ``n``-th consecutive restart, within +- ``jitter`` of the cap."""
        delay = self.capped(n)
        if self.jitter == 0:
            return delay
        return delay * rng.uniform(1 - self.jitter, 1 + self.jitter)
