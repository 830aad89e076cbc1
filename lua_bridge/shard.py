"""One Lua state on the Python side: its processes and the queue of calls into it.

The calls (messages, answers, ends) lie in one queue in the order in which they came about, so what
one sender sends one receiver arrives in order (M12). A turn works through it, then steps
coroutines; what scripts want from outside comes back as the outbox, whose synchronous operations
are answered in the same turn. When a shard has its turn is decided in runner.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import lupa.lua54 as lupa
import trio

from lua_bridge import operations
from lua_bridge.limits import Limits
from lua_bridge.process import LuaBody, seconds_of, unread_of
from lua_bridge.state import LuaState
from trio_actors import ErrorKind, Event, Host, Message, ProcessError, make_error
from trio_actors._core.current import running

if TYPE_CHECKING:
    from lua_bridge.process import LuaTarget
    from lua_bridge.runner import Runner
    from trio_actors import Process

STEPS = 1024  # between checkpoints
SECONDS = 0.001  # and at most about this long; a third of it where a script computes
TURN = (STEPS, SECONDS)
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

    def stamp(self) -> float:
        return self._node.stamp()

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
        depth: int = self._seen().depth(body.idx)
        return depth

    def unread_since(self, body: LuaBody) -> float | None:
        """Since when its oldest unread message waits."""
        since: int | None = self._seen().unread_since(body.idx)
        return None if since is None else seconds_of(since)

    def doing(self, body: LuaBody) -> str:
        """`running`, `idle` or `blocked` (§1.4)."""
        found: str = self._seen().doing(body.idx)
        return found

    def place(self, body: LuaBody) -> str | None:
        """The line of its script where the main coroutine of a process waits."""
        found: str | None = self._seen().place(body.idx)
        return found

    def _seen(self) -> LuaState:
        """The state as it is now; the queue is the thread's, while one is at it.

        A look into the state then waits for the end of a slice.
        """
        if not self.busy:
            self.flush()
        return self.state

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
