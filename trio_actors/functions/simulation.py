"""What a pool would do under a load, in virtual time and in milliseconds of real time.

`simulate` drives the same machine (pool_core.py) and the same controller (adaptive.py) as the
running pools, over an arrival curve and a model of the callee. Use it to choose a pool:

>>> from trio_actors.functions.pool_config import parse_pool
>>> run = simulate(parse_pool({"type": "adaptive", "max_size": 32}), step_load(10, 200, at=10),
...                fixed_service(0.05), duration=60)
>>> run.max_workers <= 32
True
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator

import attrs

from . import adaptive
from .pool_config import PoolConfig, PoolType
from .pool_core import Full, PoolCore, Worker

__all__ = [
    "Load",
    "Sample",
    "Service",
    "Simulation",
    "burst_load",
    "fixed_service",
    "lock_service",
    "oscillating_load",
    "ramp_load",
    "simulate",
    "slowing_service",
    "steady_load",
    "step_load",
]

# Requests per second at a time.
Load = Callable[[float], float]
# Seconds that a call takes which starts at `now` while `busy` calls run, itself included.
Service = Callable[[float, int], float]

LOAD_STEP = 0.005  # seconds over which a load is taken as constant


@attrs.frozen(slots=True)
class Sample:
    """The pool at one moment."""

    time: float
    workers: int
    busy: int
    queued: int


@attrs.define(slots=True)
class Simulation:
    """What happened."""

    samples: list[Sample] = attrs.field(factory=list)
    # (arrival, seconds until the result) of each finished request, in order of finishing.
    latencies: list[tuple[float, float]] = attrs.field(factory=list)
    rejected: int = 0
    worker_seconds: float = 0.0
    max_workers: int = 0
    # Every change of size by the controller: (time, workers added or removed).
    changes: list[tuple[float, int]] = attrs.field(factory=list)

    def mean_latency(self) -> float:
        """Mean seconds from arrival to result; 0 if nothing finished."""
        return sum(x for _, x in self.latencies) / len(self.latencies) if self.latencies else 0.0

    def percentile(self, fraction: float) -> float:
        """The latency that this fraction of the requests stays below."""
        ordered = sorted(x for _, x in self.latencies)
        return ordered[min(int(len(ordered) * fraction), len(ordered) - 1)] if ordered else 0.0

    def mean_workers(self, duration: float) -> float:
        """Workers alive on average, which is what a pool costs in memory."""
        return self.worker_seconds / duration

    def reversals(self) -> int:
        """How often the controller changed direction; a pool that oscillates has many."""
        signs = [change > 0 for _, change in self.changes]
        return sum(a != b for a, b in itertools.pairwise(signs))


def steady_load(rate: float, *, until: float = math.inf) -> Load:
    """A constant rate, nothing after `until`."""
    return lambda t: rate if t < until else 0.0


def step_load(low: float, high: float, *, at: float) -> Load:
    """`low`, and `high` from `at` on."""
    return lambda t: high if t >= at else low


def burst_load(base: float, peak: float, *, at: float, length: float) -> Load:
    """`base` with one burst of `peak`."""
    return lambda t: peak if at <= t < at + length else base


def ramp_load(low: float, high: float, *, start: float, end: float) -> Load:
    """A straight line from `low` at `start` to `high` at `end`."""
    return lambda t: low + (high - low) * min(max((t - start) / (end - start), 0.0), 1.0)


def oscillating_load(mean: float, swing: float, *, period: float) -> Load:
    """A sine wave around `mean`."""
    return lambda t: max(mean + swing * math.sin(2 * math.pi * t / period), 0.0)


def fixed_service(seconds: float) -> Service:
    """A callee that always takes as long."""
    return lambda now, busy: seconds


def slowing_service(seconds: float, per_call: float) -> Service:
    """A callee that gets slower by a fraction for each further call running."""
    return lambda now, busy: seconds * (1 + per_call * (busy - 1))


def lock_service(seconds: float) -> Service:
    """A callee that holds one shared lock all the time, so that workers cannot help."""
    free_at = 0.0

    def run(now: float, busy: int) -> float:
        nonlocal free_at
        free_at = max(now, free_at) + seconds
        return free_at - now

    return run


def arrivals(load: Load, duration: float, rng: random.Random | None) -> Iterator[float]:
    """Arrival times: evenly spaced by the integral of the load, or a Poisson process with `rng`."""
    credit, wanted = 0.0, 1.0 if rng is None else rng.expovariate(1.0)
    for index in range(int(duration / LOAD_STEP)):
        start = index * LOAD_STEP
        rate = load(start)
        gained = rate * LOAD_STEP
        while credit + gained >= wanted:
            yield start + (wanted - credit) / rate
            wanted += 1.0 if rng is None else rng.expovariate(1.0)
        credit += gained


@attrs.define(slots=True)
class _Run:
    core: PoolCore
    service: Service
    result: Simulation
    rng: random.Random | None
    state: adaptive.State
    # (time, tie-breaker, worker, arrival) of calls that run.
    running: list[tuple[float, int, Worker, float]] = attrs.field(factory=list)
    serial: int = 0
    now: float = 0.0

    def advance(self, now: float) -> None:
        self.result.worker_seconds += len(self.core.workers) * (now - self.now)
        self.now = now

    def start(self, worker: Worker, arrival: float) -> None:
        self.serial += 1
        end = self.now + self.service(self.now, self.core.busy)
        heapq.heappush(self.running, (end, self.serial, worker, arrival))
        self.result.max_workers = max(self.result.max_workers, len(self.core.workers))

    def arrive(self) -> None:
        self.serial += 1
        request = (self.now, self.serial)
        try:
            worker = self.core.submit(request)
        except Full:
            self.result.rejected += 1
            return
        if worker is not None:
            self.start(worker, self.now)

    def finish(self) -> None:
        _, _, worker, arrival = heapq.heappop(self.running)
        self.core.finish(worker, self.now, ok=True)
        self.result.latencies.append((arrival, self.now - arrival))
        self.assign()

    def assign(self) -> None:
        for (arrival, _), worker in self.core.assign():
            self.start(worker, arrival)

    def tick(self) -> None:
        core = self.core
        core.expire(self.now)
        if core.config.type is PoolType.ADAPTIVE:
            seen = adaptive.Observation(
                self.now,
                core.completed + core.failed,
                len(core.workers),
                core.busy,
                len(core.line),
            )
            draw = self.rng.uniform(-1, 1) if self.rng else 0.0
            self.state, change = adaptive.step(self.state, seen, core.config.limit, draw)
            if change:
                self.result.changes.append((self.now, change))
                if change > 0:
                    core.grow(change, self.now)
                    self.assign()
                else:
                    core.shrink(-change)
        self.result.max_workers = max(self.result.max_workers, len(core.workers))
        self.result.samples.append(Sample(self.now, len(core.workers), core.busy, len(core.line)))


def simulate(
    config: PoolConfig,
    load: Load,
    service: Service,
    *,
    duration: float,
    rng: random.Random | None = None,
) -> Simulation:
    """Run a pool for `duration` virtual seconds. Deterministic without `rng`, repeatable with one.

    At one moment ends come before arrivals and arrivals before the tick.
    """
    run = _Run(PoolCore(config), service, Simulation(), rng, adaptive.State(last_tick=0.0))
    coming = arrivals(load, duration, rng)
    arrival = next(coming, math.inf)
    tick = adaptive.TICK
    while True:
        end = run.running[0][0] if run.running else math.inf
        now = min(end, arrival, tick)
        if now > duration:
            return run.result
        run.advance(now)
        if now == end:
            run.finish()
        elif now == arrival:
            run.arrive()
            arrival = next(coming, math.inf)
        else:
            run.tick()
            tick += adaptive.TICK
