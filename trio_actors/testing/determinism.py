"""What makes a run repeatable: chance per process, Trio's batches, budgets without a real clock.

Trio shuffles each batch of runnable tasks. There is no public way to fix its order; the switch used
here is the one that pytest-trio and Trio's own Hypothesis plugin use. If a later Trio does not have
it, exploration still works, and the determinism check reports tests that depend on batch order.
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

    def __init__(self, seed: int, who: Callable[[], str]) -> None:
        self._key = str(seed)
        self._who = who
        self._drawn: dict[str, int] = {}
        super().__init__(0)

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


def _trio_run() -> Any:
    return getattr(getattr(trio, "_core", None), "_run", None)


def seed_trio() -> None:
    """Gives Trio's batch order its seed for one run."""
    coin = getattr(_trio_run(), "_r", None)
    if coin is not None:
        coin.seed(0)


@contextmanager
def repeatable(*, quiet: bool = True) -> Iterator[None]:
    """Inside, runs of the same schedule do the same; `quiet` silences logging."""
    module = _trio_run()
    switch = getattr(module, "_ALLOW_DETERMINISTIC_SCHEDULING", None)
    coin = getattr(module, "_r", None)
    state = coin.getstate() if coin is not None else None
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
            coin.setstate(state)
        random.setstate(global_state)
        for found, clock in clocks:
            found.__dict__["perf_counter"] = clock
        logging.disable(silenced)
        gc.set_threshold(*thresholds)


def _no_time() -> float:
    """Budgets count messages only: real time would make runs differ."""
    return 0.0
