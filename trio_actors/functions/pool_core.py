"""The pool as a machine without a clock or tasks: who runs, who waits, which worker goes.

Rules: PL4-PL9, PL11, PL15, PL19, PL20, the table of section 6. The runtime pool (pool.py) and the
simulation (simulation.py) both drive this class, so what the simulation shows is what runs.

A *request* is any hashable object of the driver. A worker is *fresh* until the driver has made what
it needs; making is the driver's, since only it can fail (PL10).

A pool that was replaced or removed *closes*: its idle workers go, and what it had accepted before
may still come, from the pause of a retry or from an interceptor that waits (PL16, PL18). A closing
pool makes workers on demand, up to the size that it had.

With `overflow: block` the line has no limit: a caller that waits for space and then for a worker
waits as long as one that only waits for a worker, and both start in arrival order (PL5, PL6).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import attrs

from .pool_config import Overflow, PoolConfig, PoolType

__all__ = ["Full", "PoolCore", "PoolStatistics", "Worker"]


@attrs.frozen(slots=True)
class PoolStatistics:
    """One look at a pool. Rule: PL19."""

    type: str
    workers: int
    busy: int
    queued: int
    completed: int
    failed: int


@attrs.define(slots=True, eq=False)
class Worker:
    """One slot of a pool; it runs one invocation at a time. Rule: PL4."""

    # What the driver keeps in it: a Lua state, or nothing for Python.
    payload: Any = None
    fresh: bool = True
    busy: bool = False
    # Finishes its call, takes no other, then goes. Rule: PL20.
    retiring: bool = False
    idle_since: float = 0.0


class Full(Exception):
    """The line is full and the pool rejects. Rule: PL7."""


@attrs.define(slots=True, eq=False)
class PoolCore:
    """Workers and the waiting line of one pool."""

    config: PoolConfig
    workers: dict[Worker, None] = attrs.field(factory=dict, init=False)
    # A stack: the newest idle worker is reused first.
    idle: list[Worker] = attrs.field(factory=list, init=False)
    line: dict[Hashable, None] = attrs.field(factory=dict, init=False)
    busy: int = attrs.field(default=0, init=False)
    completed: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    # Workers that retire one by one as they finish.
    debt: int = attrs.field(default=0, init=False)
    # Up to how many workers are made on demand.
    on_demand: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.config.type is PoolType.LAZY:
            self.on_demand = self.config.limit
        count = {PoolType.LAZY: 0, PoolType.STATIC: self.config.limit}.get(self.config.type, 1)
        self.grow(count, 0.0)

    def statistics(self) -> PoolStatistics:
        """Counts as of now."""
        return PoolStatistics(
            self.config.type.value,
            len(self.workers),
            self.busy,
            len(self.line),
            self.completed,
            self.failed,
        )

    def submit(self, request: Hashable) -> Worker | None:
        """A worker that is now busy with the request, or None: the request waits in the line.

        Raises: Full. A newcomer never overtakes a waiter (PL5).
        """
        if not self.line:
            worker = self._take()
            if worker is not None:
                return worker
        limit = self.config.buffer
        if (
            self.config.overflow is Overflow.REJECT
            and limit is not None
            and len(self.line) >= limit
        ):
            raise Full
        self.line[request] = None
        return None

    def withdraw(self, request: Hashable) -> bool:
        """Take a waiting request out of the line; False if it is not in it. Rule: PL8."""
        return self.line.pop(request, request) is None

    def finish(self, worker: Worker, now: float, *, ok: bool) -> None:
        """The worker's call has ended; `assign` says what it does next."""
        if ok:
            self.completed += 1
        else:
            self.failed += 1
        self._free(worker, now)

    def give_back(self, worker: Worker, now: float) -> None:
        """A worker whose request never ran; it counts in neither figure. Rule: PL19."""
        self._free(worker, now)

    def discard(self, worker: Worker, now: float) -> None:
        """A busy worker that could not be made; `assign` afterwards. Rule: PL10.

        A pool that makes none on demand gets another place in its stead, so it keeps its size.
        """
        self.busy -= 1
        del self.workers[worker]
        if worker.retiring:
            return
        if self.debt:
            self.debt -= 1
        elif not self.on_demand:
            self.grow(1, now)

    def close(self) -> None:
        """From now on workers come on demand, up to the size that the pool has now."""
        if not self.on_demand:
            self.on_demand = max(len(self.workers) - self.debt, 1)

    def assign(self) -> Iterator[tuple[Any, Worker]]:
        """Waiting requests that can start now, each with its worker, in arrival order."""
        while self.line and (worker := self._take()) is not None:
            request = next(iter(self.line))
            del self.line[request]
            yield request, worker

    def extra_worker(self) -> Worker:
        """A busy worker beyond the limit, for re-entrant inline calls. Rule: PL11."""
        worker = Worker(busy=True, retiring=True)
        self.workers[worker] = None
        self.busy += 1
        return worker

    def grow(self, count: int, now: float) -> None:
        """Add workers; `assign` afterwards."""
        for _ in range(count):
            worker = Worker(idle_since=now)
            self.workers[worker] = None
            self.idle.append(worker)

    def shrink(self, count: int) -> list[Worker]:
        """Remove workers: idle ones at once (returned), busy ones when they finish. Rule: PL20."""
        gone = []
        for _ in range(count):
            if self.idle:
                gone.append(self.idle.pop(0))
                del self.workers[gone[-1]]
            else:
                self.debt += 1
        return gone

    def expire(self, now: float) -> list[Worker]:
        """Remove lazy workers that were idle for `idle_timeout`. Rule: PL9."""
        gone: list[Worker] = []
        # The very sum that `next_expiry` gave: the difference may round the other way, and then a
        # timer set for that moment would find nothing, for ever.
        while (due := self.next_expiry()) is not None and now >= due:
            gone.append(self.idle.pop(0))
            del self.workers[gone[-1]]
        return gone

    def next_expiry(self) -> float | None:
        """When `expire` will find something; the bottom of the stack has been idle longest."""
        if self.config.idle_timeout is None or not self.idle:
            return None
        return self.idle[0].idle_since + self.config.idle_timeout

    def _take(self) -> Worker | None:
        """A worker, now busy; lazy and closing pools make one on demand."""
        if self.idle:
            worker = self.idle.pop()
        elif len(self.workers) < self.on_demand:
            worker = Worker()
            self.workers[worker] = None
        else:
            return None
        worker.busy = True
        self.busy += 1
        return worker

    def _free(self, worker: Worker, now: float) -> None:
        self.busy -= 1
        worker.busy = False
        if self.debt and not worker.retiring:
            self.debt -= 1
            worker.retiring = True
        if worker.retiring:
            del self.workers[worker]
        else:
            worker.idle_since = now
            self.idle.append(worker)
