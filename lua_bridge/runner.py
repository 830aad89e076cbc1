"""Stepping: one runner task per host drives all its Lua states in batches (§10.3 of the bridge).

The theory: a shard has one queue of calls into its state (messages, answers, ends) in the order in
which they came about, so what one sender sends one receiver arrives in order (M12). The runner
lets a shard work through that queue and then step coroutines; what scripts want from outside comes
back as the outbox, whose synchronous operations are answered in the same turn. At most 1,024 steps
or about 1 ms lie between two checkpoints. While a simulation is on (`node.gate`) it is one step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import lupa.lua54 as lupa
import trio
from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

from lua_bridge import operations
from lua_bridge.codec import encode
from lua_bridge.drive import LuaDrive
from lua_bridge.limits import Limits
from lua_bridge.process import LuaBody, unread_of
from lua_bridge.state import LuaState
from trio_actors import ErrorKind, Event, Host, Message, ProcessError, make_error
from trio_actors._core.current import running

if TYPE_CHECKING:
    from lua_bridge.process import LuaTarget
    from trio_actors import Process
    from trio_actors._core.clock import Timer

PROCESSES = 500  # in one state (decision 2)
STEPS = 1024  # between checkpoints
SECONDS = 0.001  # and at most about this long; a third of it where a script computes
TURN = (STEPS, SECONDS)
THREAD_STEPS = 4096  # in a worker thread: entering it costs 50 to 100 us
THREAD_SECONDS = 0.02  # and a third of it where a script computes
ROUNDING = 2000  # nanoseconds that a time in seconds may be off
AnswerT = TypeVar("AnswerT")


class NodeServices:
    """Time and randomness of a node for Lua modules (TS3)."""

    def __init__(self, host: Host, bodies: dict[int, LuaBody]) -> None:
        self._node = host.node
        self._bodies = bodies
        self._clock = trio.lowlevel.current_clock()
        self.rng = host.node.rng

    def now(self) -> float:
        if self._node.gate is None:
            return self._clock.current_time()  # on any thread
        return self._node.now()

    def wall_time(self, process: int = 0) -> float:
        return self._asked(process, self._node.wall_time)

    def random_bits(self, process: int = 0) -> int:
        return self._asked(process, lambda: self.rng.getrandbits(64))

    def _asked(self, process: int, function: Callable[[], AnswerT]) -> AnswerT:
        """What the node says to this process: under a gate that depends on who asks (TS3)."""
        body = self._bodies.get(process)
        if self._node.gate is None or body is None or body.process is None:
            return function()
        token = running.set(body.process.context)
        try:
            return function()
        finally:
            running.reset(token)


class Shard:
    """One Lua state with its processes and the queue of calls into it."""

    def __init__(self, runner: Runner, limits: Limits) -> None:
        self.runner = runner
        self.limits = limits
        self.bodies: dict[int, LuaBody] = {}
        self.state = LuaState(NodeServices(runner.host, self.bodies), limits)
        self.queue: deque[tuple[Any, tuple[Any, ...]]] = deque()
        self.watched: set[str] = set()  # PIDs elsewhere whose end the state wants to hear of
        self.busy = False  # a worker thread is in the state
        self.open = True  # in the runner's list of shards with room
        self.dropped = False  # takes no more processes
        self.queued = False  # in the runner's list of shards with work
        self.due = 0  # when the runner is to ring, in nanoseconds; 0 for never
        self._count = 0
        self._workers = 0

    # -- calls into the state

    def push(self, function: Any, args: tuple[Any, ...]) -> None:
        """Calls into the state when its turn comes."""
        self.queue.append((function, args))
        if not self.queued and not self.busy:
            self.runner.enqueue(self)

    def prepare(self, target: LuaTarget, flat: tuple[Any, ...]) -> int:
        """Loads a process; its index. Raises: ProcessError."""
        return self._load(self.state.prepare, target, flat)

    def prepare_call(self, worker: int, target: LuaTarget, flat: tuple[Any, ...]) -> int:
        """Loads an invocation of a function on a worker; its index. Raises: ProcessError."""
        return self._load(partial(self.state.prepare_call, worker), target, flat)

    def call_now(
        self,
        worker: int,
        target: LuaTarget,
        args: tuple[Any, ...],
        identity: tuple[str, str, bool],
    ) -> tuple[int, Any]:
        """A turn that begins with an invocation; its index, and what `done` is to be given.

        Raises: ProcessError, if the invocation cannot be loaded.
        """
        state = self.state
        if state.full():
            raise make_error(ErrorKind.RATE_LIMITED, "memory limit exceeded")
        self._count += 1
        idx = self._count
        try:
            if self.queue:
                self.flush()
            if state.slicer is not None:
                state.slicer.ticks = 0
            script, method, limits = target.script, target.method, target.limits
            return idx, state.call_now(
                worker, idx, script, method, limits.instructions, args, identity, TURN
            )
        except (lupa.LuaError, MemoryError) as error:
            return idx, error

    def new_worker(self) -> int:
        """A name for a worker of a function in this state."""
        self._workers += 1
        return self._workers

    def _load(self, load: Callable[..., None], target: LuaTarget, flat: tuple[Any, ...]) -> int:
        if self.state.full():
            raise make_error(ErrorKind.RATE_LIMITED, "memory limit exceeded")
        self._count += 1
        try:
            load(self._count, target.script, target.method, target.limits.instructions, flat)
        except (lupa.LuaError, MemoryError) as error:
            raise make_error(ErrorKind.RATE_LIMITED, f"memory limit exceeded: {error}") from None
        return self._count

    def enter(self, body: LuaBody, process: Process, direct: bool) -> None:
        """The process has a PID, and the first step may come."""
        self.push(self.state.enter, (body.idx, process.pid, process.target.id, direct))

    def interrupt(self, body: LuaBody) -> None:
        """Stops the chunk that a prompt runs in this process; the process goes on."""
        self.push(self.state.interrupt, (body.idx,))

    def kill(self, body: LuaBody) -> None:
        """Nothing of this process runs any more; in a thread it ends unseen a moment later."""
        if self.busy:
            self.queue.append((self.state.kill, (body.idx,)))
        else:
            self.state.kill(body.idx)
        self.forget(body)

    def forget(self, body: LuaBody) -> None:
        """The process is gone: its place is free."""
        self.bodies.pop(body.idx, None)
        self.runner.freed(self)

    def depth(self, body: LuaBody) -> int:
        """Unread messages and events."""
        self.flush()
        depth: int = self.state.depth(body.idx)
        return depth

    def place(self, body: LuaBody) -> str | None:
        """The line of its script where the main coroutine of a process waits."""
        self.flush()
        found: str | None = self.state.place(body.idx)
        return found

    def drain(self, body: LuaBody) -> list[Message | Event]:
        """Ends the process and gives what it has not read."""
        self.flush()
        count = self.state.drain(body.idx)
        return [unread_of(*self.state.drained(number + 1)) for number in range(count)]

    def flush(self) -> None:
        """Makes the calls that wait, without stepping."""
        queue = self.queue
        state = self.state
        while queue:
            if state.brimming():
                state.relieve()
            function, args = queue.popleft()
            function(*args)

    def watch(self, process: Process) -> bool:
        """Tells the state when this process of another place is gone; False if it need not know."""
        pid = process.pid
        if pid not in self.watched:
            self.watched.add(pid)

            def gone(_: object) -> None:
                self.watched.discard(pid)
                self.push(self.state.gone, (pid,))

            process.on_exit(gone)
        return True

    # -- turns

    def turn(self, steps: int, seconds: float) -> None:
        """Works through the queue, steps, and carries out what scripts asked for."""
        self.done(self.work(steps, seconds))

    def work(self, steps: int, seconds: float) -> Any:
        """The part of a turn that may run in a thread: the calls that wait, then steps."""
        queue, state = self.queue, self.state
        try:
            if state.slicer is not None:
                state.slicer.ticks = 0
            while queue:
                function, args = queue.popleft()
                if not queue:  # one crossing less, very often
                    if function is state.deliver:
                        return state.deliver_run(steps, seconds, *args)
                    if function is state.fire:
                        return state.fire_run(steps, seconds, *args)
                function(*args)
            return state.run(steps, seconds)
        except (lupa.LuaError, MemoryError) as error:
            return error

    def done(self, result: Any) -> None:
        """The part that belongs to the Trio thread: the outbox."""
        if isinstance(result, Exception):
            self._broken(result)
            return
        if result[1]:
            operations.carry_out(self, result)
        self.go_on(result[0])

    def go_on(self, left: bool | int) -> None:
        """After a turn: the next one comes at once, or when a timer is due."""
        if left is True or self.queue:
            if not self.queued:
                self.runner.enqueue(self)
        elif left is not False and left != self.due:
            self.runner.wake_at(self, left)

    def ring(self, now: int) -> None:
        """Timers are due; if a thread is in the state it will say so again."""
        self.due = 0
        if not self.busy:
            self.push(self.state.fire, (now,))

    def _broken(self, error: Exception) -> None:
        """The state itself failed: its processes end, nobody else is touched."""
        self.runner.drop(self)
        failure = make_error(ErrorKind.INTERNAL, f"lua state failed: {error}", retryable=None)
        for body in list(self.bodies.values()):
            body.over = True
            self.forget(body)
            body.over = False
            body.failed(failure)

    # -- answers

    def answer(self, request: int, value: Any) -> None:
        """The operation gave a value, or several (`Values`)."""
        try:
            flat = operations.flat_answer(value)
        except ProcessError as error:
            self.refuse(request, error)
            return
        self.push(self.state.answer, (request, *flat))

    def refuse(self, request: int, error: ProcessError) -> None:
        """The operation failed: the script gets nil, Error."""
        self.push(self.state.answer_error, (request, *operations.flat_error(error)))


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
            reschedule(task)

    async def run(self) -> None:
        """Steps shards as long as there is something to do, then sleeps."""
        me = current_task()
        try:
            while True:
                if self._endings or (self.ready and not self.threads):
                    await trio.lowlevel.checkpoint()
                else:
                    self._task = me
                    await wait_task_rescheduled(self._leave)
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


__all__ = ["Runner", "Shard", "encode", "runner_of"]
