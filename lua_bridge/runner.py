"""Stepping: one runner task per host drives all its Lua states in batches (§10.3 of the bridge).

A shard (shard.py) with something to do is in the list of the runner, which gives it a turn. At most
1,024 steps or about 1 ms lie between two checkpoints. While a simulation is on (`node.gate`) it is
one step. Timers of all shards share one alarm.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from time import perf_counter
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

from lua_bridge.drive import LuaDrive
from lua_bridge.limits import Limits
from lua_bridge.shard import SECONDS, STEPS, Shard
from trio_actors import Host
from trio_actors._core.wake import GO, wait

if TYPE_CHECKING:
    from trio_actors._core.clock import Timer

PROCESSES = 500  # in one state (decision 2)
THREAD_STEPS = 4096  # in a worker thread: entering it costs 50 to 100 us
THREAD_SECONDS = 0.02  # and a third of it where a script computes
ROUNDING = 2000  # nanoseconds that a time in seconds may be off


class Runner:
    """The task that steps the Lua states of one host; with `workers: N`, N more, a thread each."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.shards: list[Shard] = []
        self.ready: deque[Shard] = deque()
        self.threads = host.workers if host.workers > 1 and host.node.gate is None else 0
        self._open: dict[tuple[int | bool, ...], list[Shard]] = {}  # with room, by what they share
        self._task: trio.lowlevel.Task | None = None
        self._idle: deque[trio.lowlevel.Task] = deque()  # tasks of threads without work
        self._endings: deque[LuaDrive] = deque()  # processes stopped by force
        self._dues: list[tuple[int, int, Shard]] = []  # a heap; some entries are out of date
        self._rings = 0
        self._alarm: Timer | None = None  # for the first of them
        host.start_system_task(self.run, name=f"{host.id} lua")
        for number in range(self.threads):
            host.start_system_task(self._serve, name=f"{host.id} lua thread {number + 1}")

    def place(self, limits: Limits) -> Shard:
        """A shard with room for one more process."""
        key = limits.shared
        room = self._open.get(key)
        if room is None:
            room = self._open[key] = []
        if not self.threads and room and room[-1].state.full():
            room.pop().open = False  # a process that goes will bring it back
        if len(room) < max(1, self.threads) or limits.isolated:
            shard = Shard(self, limits)
            self.shards.append(shard)
            room.append(shard)
        elif self.threads:  # spread over the threads, and do not wait for a state in use
            shard = min(room, key=lambda shard: (shard.busy, len(shard.bodies)))
        else:
            shard = room[-1]
        if limits.isolated or len(shard.bodies) + 1 >= PROCESSES:
            room.remove(shard)
            shard.open = False
        return shard

    def freed(self, shard: Shard) -> None:
        """A process of this shard is gone."""
        if shard.limits.isolated:
            self.drop(shard)
        elif not shard.open and not shard.dropped:
            self._open[shard.limits.shared].append(shard)
            shard.open = True

    def drop(self, shard: Shard) -> None:
        """This shard takes no more processes."""
        if not shard.dropped:
            self.shards.remove(shard)
        if shard.open:
            self._open[shard.limits.shared].remove(shard)
        shard.dropped, shard.open = True, False

    def enqueue(self, shard: Shard) -> None:
        """This shard has something to do."""
        shard.queued = True
        self.ready.append(shard)
        if not self.threads:
            self._wake()
        elif self._idle:
            reschedule(self._idle.popleft())

    def wake_at(self, shard: Shard, due: int) -> None:
        """Timers of this shard are due then, and none before."""
        shard.due = due
        self._rings += 1
        entry = (due, self._rings, shard)
        heappush(self._dues, entry)
        if self._dues[0] is entry:
            self._set_alarm(due)

    def _set_alarm(self, due: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.host.node.clock.at(due / 1e9, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        dues, now = self._dues, int(self.host.node.now() * 1e9) + ROUNDING
        while dues and dues[0][0] <= now:
            due, _, shard = heappop(dues)
            if shard.due == due:
                shard.ring(now)
        while dues and dues[0][2].due != dues[0][0]:
            heappop(dues)
        if dues:
            self._set_alarm(dues[0][0])

    def end_soon(self, drive: LuaDrive) -> None:
        """Carries out the end of this process in the next turn."""
        self._endings.append(drive)
        self._wake()

    def _wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            reschedule(task, GO)

    async def run(self) -> None:
        """Steps shards as long as there is something to do, then sleeps."""
        me = current_task()
        try:
            while True:
                if self._endings or (self.ready and not self.threads):
                    await trio.lowlevel.checkpoint()
                else:
                    self._task = me
                    await wait(self._leave)
                self._turn()
        finally:  # cancelled with its host: processes end like tasks would (E37)
            for process in self.host.processes():
                if isinstance(process.drive, LuaDrive):
                    process.drive.cancelled()

    def _turn(self) -> None:
        ready, endings = self.ready, self._endings
        steps = STEPS if self.host.node.gate is None else 1
        stop = perf_counter() + SECONDS
        while endings:
            endings.popleft().conclude()
        while ready and not self.threads:
            shard = ready.popleft()
            shard.queued = False
            shard.turn(steps, SECONDS)
            while endings:
                endings.popleft().conclude()
            if steps == 1 or (ready and perf_counter() > stop):
                break

    async def _serve(self) -> None:
        """Steps shards in a worker thread, one at a time, in larger batches (Z1, Z4)."""
        limiter = trio.CapacityLimiter(1)
        while True:
            while not self.ready:
                await self._wait_for_work()
            shard = self.ready.popleft()
            shard.queued, shard.busy = False, True
            try:
                result = await trio.to_thread.run_sync(
                    shard.work, THREAD_STEPS, THREAD_SECONDS, limiter=limiter
                )
            finally:
                shard.busy = False
            shard.done(result)

    async def _wait_for_work(self) -> None:
        task = current_task()
        self._idle.append(task)

        def abort(_: Any) -> Abort:
            self._idle.remove(task)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)

    def _leave(self, _: Any) -> Abort:
        self._task = None
        return Abort.SUCCEEDED


def runner_of(host: Host) -> Runner:
    """The Lua runner of a host, started when it is first needed."""
    runner: Runner | None = host.extensions.get("lua")
    if runner is None:
        runner = host.extensions["lua"] = Runner(host)
    return runner
