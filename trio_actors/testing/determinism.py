"""What makes a run repeatable: chance per process, Trio's batches, budgets without a real clock.

Trio shuffles each batch of runnable tasks. There is no public way to fix its order; the switch used
here, and the source of chance, are those that pytest-trio and Trio's own Hypothesis plugin use. If
a later Trio does not have them, exploration still works, and the determinism check reports tests
that depend on batch order.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio

GARBAGE = 20_000  # objects between two collections, about 15 small runs
PACKAGES = ("trio_actors.", "supervision", "lua_bridge", "registry")


class SimRandom(random.Random):
    """Random numbers that depend on who draws and how often it drew before, not on the order."""

    def __init__(self) -> None:
        self._drawn: dict[str, int] = {}
        super().__init__(0)

    def begin(self, seed: int, who: Callable[[], str]) -> None:
        """A new run: nobody has drawn anything. Making another generator takes longer."""
        self._key = str(seed)
        self._who = who
        self._drawn.clear()

    def _block(self) -> int:
        who = self._who()
        count = self._drawn[who] = self._drawn.get(who, 0) + 1
        text = f"{self._key}/{who}/{count}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

    def random(self) -> float:
        """The next number from 0 up to 1."""
        return float((self._block() >> 11) * 2.0**-53)

    def getrandbits(self, k: int, /) -> int:
        """The next k bits."""
        value = 0
        for _ in range(0, k, 64):
            value = value << 64 | self._block()
        return value & ((1 << k) - 1)

    def seed(self, *args: Any, **kwargs: Any) -> None:
        """Ignored: the seed is that of the run."""


class ByAge(random.Random):
    """In place of Trio's chance: of the tasks that can run the one that was made first runs first.

    So what a step does depends on the state, not on what was done before: orders that DPOR holds
    for equal are, and a schedule that shrinks does not change what it has in common with others.
    """

    youngest_first = False

    def shuffle(self, x: Any) -> None:
        """Trio has sorted them by age and takes from the end."""
        if not self.youngest_first:
            x.reverse()

    def random(self) -> float:
        """Without the switch Trio would reverse below a half."""
        return 0.75


def _trio_run() -> Any:
    return getattr(getattr(trio, "_core", None), "_run", None)


def order_tasks(*, youngest_first: bool) -> None:
    """In which order the tasks of a batch run from now on, inside `repeatable`."""
    chance = getattr(_trio_run(), "_r", None)
    if isinstance(chance, ByAge):
        chance.youngest_first = youngest_first


@contextmanager
def repeatable(*, quiet: bool = True) -> Iterator[None]:
    """Inside, runs of the same schedule do the same; `quiet` silences logging."""
    module = _trio_run()
    switch = getattr(module, "_ALLOW_DETERMINISTIC_SCHEDULING", None)
    coin = getattr(module, "_r", None)
    global_state = random.getstate()
    silenced = logging.root.manager.disable
    thresholds = gc.get_threshold()
    clocks = [
        (found, found.__dict__["perf_counter"])
        for name, found in list(sys.modules.items())
        if name.startswith(PACKAGES) and "perf_counter" in getattr(found, "__dict__", {})
    ]
    try:
        if switch is not None:
            module._ALLOW_DETERMINISTIC_SCHEDULING = True
        if coin is not None:
            module._r = ByAge(0)
        for found, _ in clocks:
            found.__dict__["perf_counter"] = _no_time
        if quiet:
            logging.disable(logging.CRITICAL)
        if 0 < thresholds[0] < GARBAGE:  # a run is all cycles: collect after many, not within each
            gc.set_threshold(GARBAGE, *thresholds[1:])
        yield
    finally:
        if switch is not None:
            module._ALLOW_DETERMINISTIC_SCHEDULING = switch
        if coin is not None:
            module._r = coin
        random.setstate(global_state)
        for found, clock in clocks:
            found.__dict__["perf_counter"] = clock
        logging.disable(silenced)
        gc.set_threshold(*thresholds)


def _no_time() -> float:
    """Budgets count messages only: real time would make runs differ."""
    return 0.0
