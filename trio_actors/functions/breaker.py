"""The circuit breaker of one function: a table of states, no clock of its own.

Rules: CB1-CB4.

    closed     --threshold consecutive failures-->  open
    open       --reset_timeout has passed-------->  half_open   (at the next admission)
    half_open  --a success----------------------->  closed
    half_open  --a failure----------------------->  open

An outcome counts only for the era (a number that grows with every change of state) in which its
call was admitted: a call that began before the breaker opened says nothing about what came after.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import attrs

from ..fields import as_mapping, check_keys, duration, integer
from .retry import HOPELESS, parse_kinds

__all__ = ["Breaker", "BreakerOptions", "BreakerState", "Outcome", "Ticket", "parse_breaker"]

KEYS = ("failure_threshold", "reset_timeout", "half_open_max", "skip_kinds")


class BreakerState(StrEnum):
    """See the table in the head of this file."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Outcome(StrEnum):
    """How an admitted call ended, as the breaker counts it."""

    SUCCESS = "success"
    FAILURE = "failure"
    # Cancelled, or an error of `skip_kinds`: neither counts nor resets.
    NEUTRAL = "neutral"


@attrs.frozen(slots=True)
class BreakerOptions:
    """The `circuit_breaker` option of a call."""

    failure_threshold: int = 5
    reset_timeout: float = 30.0  # seconds
    half_open_max: int = 1
    skip_kinds: frozenset[str] = frozenset(kind.value for kind in HOPELESS)


def parse_breaker(value: object, path: str = "circuit_breaker") -> BreakerOptions:
    """Read the option; `true` is the defaults. Raises: FieldError (IC7)."""
    if value is True:
        return BreakerOptions()
    data = as_mapping(value, path)
    check_keys(data, KEYS, path)
    out: dict[str, Any] = {}
    for name in ("failure_threshold", "half_open_max"):
        if name in data:
            out[name] = integer(data[name], f"{path}.{name}", minimum=1)
    if (
        "reset_timeout" in data
        and (s := duration(data["reset_timeout"], f"{path}.reset_timeout")) > 0
    ):
        out["reset_timeout"] = s
    if "skip_kinds" in data:
        out["skip_kinds"] = parse_kinds(data["skip_kinds"], f"{path}.skip_kinds")
    return BreakerOptions(**out)


@attrs.frozen(slots=True)
class Ticket:
    """Permission for one call; give it back with the outcome."""

    era: int


@attrs.define(slots=True)
class Breaker:
    """The state of one function's breaker; times are the caller's."""

    state: BreakerState = attrs.field(default=BreakerState.CLOSED, init=False)
    failures: int = attrs.field(default=0, init=False)
    opened_at: float = attrs.field(default=0.0, init=False)
    # Calls on trial while half-open.
    trials: int = attrs.field(default=0, init=False)
    era: int = attrs.field(default=0, init=False)

    def admit(self, options: BreakerOptions, now: float) -> Ticket | float:
        """A ticket, or the seconds after which it is worth trying again. Rules: CB3, CB4."""
        if self.state is BreakerState.OPEN:
            wait = self.opened_at + options.reset_timeout - now
            if wait > 0:
                return wait
            self._enter(BreakerState.HALF_OPEN)
        if self.state is BreakerState.HALF_OPEN:
            if self.trials >= options.half_open_max:
                return 0.0
            self.trials += 1
        return Ticket(self.era)

    def settle(self, ticket: Ticket, outcome: Outcome, options: BreakerOptions, now: float) -> None:
        """Count the end of an admitted call. Rules: CB2, CB4."""
        if ticket.era != self.era:
            return
        if self.state is BreakerState.HALF_OPEN:
            self.trials -= 1
            if outcome is Outcome.SUCCESS:
                self._enter(BreakerState.CLOSED)
            elif outcome is Outcome.FAILURE:
                self._open(now)
        elif outcome is Outcome.SUCCESS:
            self.failures = 0
        elif outcome is Outcome.FAILURE:
            self.failures += 1
            if self.failures >= options.failure_threshold:
                self._open(now)

    def _open(self, now: float) -> None:
        self.opened_at = now
        self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        self.state = state
        self.failures = self.trials = 0
        self.era += 1
