"""Faults: what goes wrong in a run, decided per message id, so that it replays and shrinks (TS16).

A fault hits when its message arrives: `kill` ends the receiver first; `crash` ends everything on
the receiver's host; `drop` loses the message, and with it the sender's host's connection, so the
receiver's host crashes too (a message is never lost between hosts that both live on); `dup`
delivers it twice, only for topics that promise no more than at-least-once; `delay` and `slow`
(of a start) hold it for seconds of virtual time; `jump` moves the wall clock of the receiver's
host. Signals of the kernel are not delayed, starts excepted. `on` answers `buggify` with True.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import attrs

from trio_actors._core.message import Message
from trio_actors.testing.footprint import TEST
from trio_actors.testing.schedule import Fault, MessageId, plain_label, safe_label

if TYPE_CHECKING:
    from trio_actors.testing.delivery import Delivery


def _share(instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} is a probability per delivery, 0 to 1, not {value!r}")


def _chance() -> float:
    share: float = attrs.field(default=0.0, validator=_share)
    return share


@attrs.frozen(slots=True, kw_only=True)
class Faults:
    """How likely each fault is at one delivery, and where faults may hit.

    Units: probabilities from 0 to 1; seconds of virtual time.
    """

    kill: float = _chance()
    delay: float = _chance()
    drop: float = _chance()
    duplicate: float = _chance()
    crash: float = _chance()
    slow_start: float = _chance()
    clock_jump: float = _chance()
    buggify: float = _chance()
    seconds: float = 10.0  # the longest delay, slow start or clock jump
    most: int = 3  # faults in one run
    only: tuple[str, ...] = ("*",)  # labels of the processes that may be hit, as globs
    at_least_once: tuple[str, ...] = ()  # topics that may be duplicated

    @property
    def any(self) -> bool:
        """Whether anything can go wrong at all."""
        return any(
            (
                self.kill,
                self.delay,
                self.drop,
                self.duplicate,
                self.crash,
                self.slow_start,
                self.clock_jump,
                self.buggify,
            )
        )

    def hits(self, label: str) -> bool:
        """Whether the process of this label may be hit."""
        name = plain_label(label)
        return label != TEST and any(fnmatchcase(name, pattern) for pattern in self.only)


NO_FAULTS = Faults()
KILLS_AND_DELAYS = Faults(kill=0.03, delay=0.03)


class FaultPlan:
    """Decides which fault hits which delivery, in one run; remembers those that did."""

    def __init__(self, faults: Faults, given: Mapping[MessageId, Fault], seed: str | None) -> None:
        self._faults = faults
        self._given = given
        self._seed = seed if faults.any else None  # None: only what is given
        self._sites: dict[str, int] = {}
        self.used: dict[MessageId, Fault] = {}

    def of(self, delivery: Delivery) -> Fault | None:
        """The fault for a delivery that was just posted."""
        fault = self._given.get(delivery.id)
        if fault is None and self._seed is not None:
            fault = self._draw(delivery)
        if fault is not None:
            self.used[delivery.id] = fault
        return fault

    def _draw(self, delivery: Delivery) -> Fault | None:
        faults = self._faults
        if len(self.used) >= faults.most or not faults.hits(delivery.id.dst):
            return None
        rng = random.Random(f"{self._seed}/{delivery.id}")
        seconds = round(rng.random() * faults.seconds, 3)
        between_hosts = (
            delivery.source is not None
            and delivery.target is not None
            and delivery.source.partition("|")[0] != delivery.target.pid.partition("|")[0]
        )
        start = delivery.id.n == 0
        repeatable = isinstance(delivery.item, Message) and delivery.what in faults.at_least_once
        for share, fault, possible in (
            (faults.kill, Fault("kill"), not start),
            (faults.delay, Fault("delay", seconds), not delivery.signal),
            (faults.slow_start, Fault("slow", seconds), start),
            (faults.drop, Fault("drop"), between_hosts and not start),
            (faults.duplicate, Fault("dup"), repeatable),
            (faults.crash, Fault("crash"), not start),
            (faults.clock_jump, Fault("jump", seconds), True),
        ):
            if share and rng.random() < share and possible:
                return fault
        return None

    def buggify(self, site: str) -> bool:
        """Whether a site of user code misbehaves this time."""
        count = self._sites[site] = self._sites.get(site, 0) + 1
        id = MessageId("buggify", safe_label(site), count)
        fault = self._given.get(id)
        if fault is None and self._seed is not None:
            rng = random.Random(f"{self._seed}/{id}")
            fault = Fault("on") if rng.random() < self._faults.buggify else None
        if fault is not None:
            self.used[id] = fault
        return fault is not None


active_plan: ContextVar[FaultPlan | None] = ContextVar("trio_actors.faults", default=None)


def buggify(site: str) -> bool:
    """False outside a simulation; inside, sometimes True: `if buggify("slow disk"): ...` (TS16).

    `site` names the place. How often is `Faults.buggify`; what was True is part of the schedule.
    """
    plan = active_plan.get()
    return plan is not None and plan.buggify(site)
