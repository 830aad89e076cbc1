"""A running pool: the machine of pool_core.py with tasks that wait and timers that tick.

Rules: PL4-PL12, PL16-PL20, AP1. There are no worker tasks: a call runs in its caller's task once
it holds a worker, which is what ties it to its caller's cancellation (F11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import trio

from trio_actors._core.clock import Timer
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors.functions import adaptive
from trio_actors.functions.frame import FrameContext
from trio_actors.functions.pool_config import PoolConfig, PoolType
from trio_actors.functions.pool_core import Full, PoolCore, PoolStatistics, Worker

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.node import Node
    from trio_actors.functions.callee import Callee

__all__ = ["Pool"]

# Ticks that are made up for after a rest; more than these move the ema by less than 1e-12.
CATCH_UP = 128


class Request:
    """One call that wants a worker: its place in the line, then the worker."""

    __slots__ = ("task", "worker")

    def __init__(self) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.worker: Worker | None = None


class Pool:
    """The workers of one version of one function."""

    def __init__(self, node: Node, config: PoolConfig, callee: Callee) -> None:
        self.config = config
        self.core = PoolCore(config)
        self.closed = False
        self._node = node
        self._callee = callee
        self._inline = config.type is PoolType.INLINE
        self._adaptive = config.type is PoolType.ADAPTIVE
        self._lazy = config.type is PoolType.LAZY
        # Only lazy pools ask how long a worker was idle.
        self._timeless = not self._lazy
        self._state = adaptive.State(last_tick=node.now())
        self._timer: Timer | None = None

    def statistics(self) -> PoolStatistics:
        """Counts as of now (PL19)."""
        return self.core.statistics()

    def take(self, caller: ProcessContext | None) -> Worker | None:
        """A worker that is free now; None if the request has to wait.

        Also of a closed pool: whoever comes here was accepted by this version (PL16, PL18).
        """
        core = self.core
        if core.idle and not core.line:
            worker = core.idle.pop()
            worker.busy = True
            core.busy += 1
        elif self._inline and self._held_by(caller):
            worker = core.extra_worker()
        else:
            return None
        if self._adaptive and self._timer is None:
            self._schedule()
        return worker

    def request(self, caller: ProcessContext | None) -> Request:
        """A place in the line, taken now; `wait` must follow (PL5: async calls keep their order).

        Raises: ProcessUnavailable (PL7).
        """
        request = Request()
        request.worker = self.take(caller)
        if request.worker is None:
            try:
                request.worker = self.core.submit(request)
            except Full:
                text = "pool queue is full"
                raise make_error(ErrorKind.UNAVAILABLE, text, retryable=True) from None
        return request

    async def wait(self, request: Request) -> Worker:
        """The worker of a request, when it is its turn. Checkpoint: only if it has to wait."""
        if request.worker is None:
            request.task = trio.lowlevel.current_task()

            def give_up(_: Any) -> trio.lowlevel.Abort:
                self.core.withdraw(request)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(give_up)
        worker = request.worker
        assert worker is not None
        try:
            # The grant may have crossed a cancellation: then the request never runs (FU9, PL8).
            await trio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            self.core.give_back(worker, self._node.now())
            self._freed(worker)
            raise
        return worker

    def prepare(self, worker: Worker) -> None:
        """Makes what a fresh worker needs; if that fails the next waiter is tried (PL10)."""
        try:
            worker.payload = self._callee.make_worker()
        except Exception as error:
            self.core.discard(worker, self._node.now())
            self._freed(worker)
            if isinstance(error, ProcessError):
                raise
            text = f"failed to make a worker: {error}"
            raise make_error(ErrorKind.INTERNAL, text, retryable=None) from error
        worker.fresh = False

    def release(self, worker: Worker, ok: bool) -> None:
        """The call of this worker has ended, with a result or not (PL4, PL15)."""
        core = self.core
        now = 0.0 if self._timeless else self._node.now()
        if not core.line and not worker.retiring and not core.debt and not self.closed and ok:
            # The usual end, written out: `finish` and what follows it when nobody waits.
            core.completed += 1
            core.busy -= 1
            worker.busy = False
            worker.idle_since = now
            core.idle.append(worker)
            if self._lazy and self._timer is None:
                self._schedule()
            return
        core.finish(worker, now, ok=ok)
        self._freed(worker)

    def _freed(self, worker: Worker) -> None:
        """The next waiter's turn; then the worker goes if it is to go, now or when it is due."""
        if self.core.line:
            self._assign()
        if worker.retiring:
            self._drop(worker)
        if self.closed:
            self._drain()
        elif self._lazy and self._timer is None:
            self._schedule()

    def close(self) -> None:
        """No new calls come (PL18); the workers go when the accepted calls are done."""
        self.closed = True
        self.core.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._drain()

    def _drain(self) -> None:
        if not self.core.line:
            for worker in self.core.shrink(len(self.core.idle)):
                self._drop(worker)

    def _held_by(self, caller: ProcessContext | None) -> bool:
        """Whether a frame in the chain of callers holds this pool's worker (PL11)."""
        while isinstance(caller, FrameContext):
            if caller.pool is self:
                return True
            caller = caller.parent
        return False

    def _assign(self) -> None:
        for request, worker in self.core.assign():
            request.worker = worker
            if request.task is not None:
                trio.lowlevel.reschedule(request.task)

    def _drop(self, worker: Worker) -> None:
        if not worker.fresh:
            self._callee.drop_worker(worker.payload)

    # -- time

    def _schedule(self) -> None:
        """Sets the timer that this pool needs next, if it needs one and has none."""
        if self._timer is not None or self.closed:
            return
        if self.config.type is PoolType.LAZY:
            due = self.core.next_expiry()
            if due is not None:
                self._timer = self._node.clock.at(due, self._expire)
        elif self.config.type is PoolType.ADAPTIVE:
            self._catch_up()
            due = self._state.last_tick + adaptive.TICK
            self._timer = self._node.clock.at(max(due, self._node.now()), self._tick)

    def _expire(self) -> None:
        self._timer = None
        for worker in self.core.expire(self._node.now()):
            self._drop(worker)
        self._schedule()

    def _tick(self) -> None:
        """One observation of the controller, and what it says (AP1)."""
        self._timer = None
        core = self.core
        self._observe(self._node.now())
        # At rest: one idle worker and nobody waiting. The next call makes up for the ticks.
        if len(core.workers) > 1 or core.busy or core.line:
            self._schedule()

    def _observe(self, now: float) -> None:
        core = self.core
        seen = adaptive.Observation(
            now, core.completed + core.failed, len(core.workers), core.busy, len(core.line)
        )
        draw = self._node.rng.uniform(-1.0, 1.0)
        self._state, change = adaptive.step(self._state, seen, self.config.limit, draw)
        if change > 0:
            core.grow(change, now)
            self._assign()
        elif change < 0:
            for worker in core.shrink(-change):
                self._drop(worker)

    def _catch_up(self) -> None:
        """Replays the ticks of a rest, during which nothing happened.

        The call that ends the rest is not yet finished, so the observation is that of the rest.
        """
        now, core = self._node.now(), self.core
        missed = int((now - self._state.last_tick) / adaptive.TICK)
        if missed > CATCH_UP:
            shifted = now - CATCH_UP * adaptive.TICK
            self._state = attrs.evolve(self._state, last_tick=shifted)
            missed = CATCH_UP
        for _ in range(missed):
            due = self._state.last_tick + adaptive.TICK
            seen = adaptive.Observation(due, self._state.last_finished, len(core.workers), 0, 0)
            self._state, _ = adaptive.step(self._state, seen, self.config.limit)
