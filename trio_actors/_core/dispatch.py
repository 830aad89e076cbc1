"""The tasks of a host that step its servers (design.md §5).

The theory: a runnable server stands in the dispatcher's queue exactly once. A turn of the
dispatcher handles at most BATCH messages or lasts 1 ms, then comes a checkpoint.

The dispatcher's work is done by *carriers*, tasks of the host of which one steps at a time. When
the code of a server waits for something, the carrier that stepped it becomes its task, with a
cancel scope around it, until that code needs no task any more; another carrier steps the others. So
code that waits in one place goes on in the same task, and code that never waits needs none. A
carrier that is free again is kept as a spare: to wake one costs a third of starting one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import Context, copy_context
from math import inf
from types import FrameType, coroutine
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import (
    Abort,
    checkpoint,
    checkpoint_if_cancelled,
    current_task,
    reschedule,
    wait_task_rescheduled,
)

from trio_actors._core.current import Stepping, running
from trio_actors._core.exit import Exit, cancelled_outside
from trio_actors._core.pace import Pace
from trio_actors._core.wake import GO

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors._core.process import Process

BATCH = 1024  # messages in one turn of the dispatcher, which lasts 1 ms at most (pace.py)
SPARES = 64  # free carriers that are kept: about 3 KB each


class Carrier:
    """A task that steps servers, or that belongs to one of them while its code waits."""

    __slots__ = ("_dispatcher", "held", "scope", "stepping", "task")
    held: Held | None  # the code whose task it is
    scope: trio.CancelScope  # around all code; a new one when it was used

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.task = current_task()
        self.stepping = True  # else it waits until it is wanted
        self.held = None

    def leave(self, _: Any) -> Abort:
        """It is cancelled while it waits."""
        self._dispatcher.forget(self.task)
        return Abort.SUCCEEDED


class Dispatched(ABC):
    """What a dispatcher steps."""

    __slots__ = ()
    process: Process

    @abstractmethod
    def turn(self) -> Held | None:
        """Does what there is to do, and stands in the queue again if there is more.

        What it returns is code that waits: this task is its own from now on.
        """

    @abstractmethod
    def end(self, end: Exit) -> None:
        """Ends now, with this exit."""

    def cut(self, end: Exit) -> tuple[Context, Coroutine[Any, Any, None]] | None:
        """Ends with its host, which is cancelled; what it returns is to run, in this context."""
        self.end(end)
        return None


class Waiting(Dispatched):
    """One whose code may wait."""

    __slots__ = ()

    @abstractmethod
    async def end_code(self, error: BaseException | None) -> None:
        """Its code has failed, or was cancelled: what that means for the process."""


class Idle:
    """What code yields that has nothing to do: its dispatcher goes on with it when there is."""

    __slots__ = ()


IDLE = Idle()


@coroutine
def idle() -> Generator[Idle, None, None]:
    """Until the next turn; no task is needed meanwhile. Never with a scope or nursery open."""
    yield IDLE


class Held:
    """Code that waits in the task where it was begun, and whose it is."""

    __slots__ = ("_trap", "carrier", "code", "context", "drive")
    carrier: Carrier

    def __init__(
        self, drive: Waiting, code: Coroutine[Any, Any, None], context: Context, trap: Any
    ) -> None:
        self.drive = drive
        self.code = code
        self.context = context
        self._trap = trap  # what it waits for, as Trio is to be told

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """Where it waits, as frames and lines, outermost first."""
        code: Any = self.code
        while code is not None:
            frame = getattr(code, "cr_frame", None) or getattr(code, "gi_frame", None)
            if frame is not None:
                yield frame, frame.f_lineno
            code = getattr(code, "cr_await", None) or getattr(code, "gi_yieldfrom", None)

    def cancel(self) -> None:
        """Its end, or an upgrade, was decided."""
        forced = self.drive.process.forced
        self.carrier.scope.cancel(reason=forced.message if forced else "upgrade")

    @coroutine
    def go_on(self) -> Generator[Any, Any, None]:
        """Lets the code run, in its context variables, until it is idle or has ended.

        In place of `await code`, which would have to begin it.
        """
        run: Callable[..., Any] = self.context.run
        send, trap = self.code.send, self._trap
        answer: Any = None
        try:
            while trap is not IDLE:
                try:
                    answer = yield trap
                except BaseException as exc:
                    trap = run(self.code.throw, exc)
                else:
                    trap = run(send, answer)
        except StopIteration:
            return
        finally:
            del answer  # this frame is in the traceback of its error: a cycle

    async def end(self, error: BaseException | None) -> None:
        """The code has failed, or was cancelled."""
        self.code = code = self.drive.end_code(error)
        del error  # this frame is in its traceback: a cycle
        try:
            self._trap = self.context.run(code.send, None)
        except StopIteration:
            return
        await self.go_on()


class Vacant:
    """Stands for a carrier that has not been started."""

    __slots__ = ()


VACANT = Vacant()


class Dispatcher:
    """Steps the servers of one host."""

    def __init__(self, host: Host) -> None:
        self.ready: deque[Dispatched] = deque()
        self.parked: trio.lowlevel.Task | Vacant | None = VACANT  # whom to wake for the next turn
        self.pace = Pace(BATCH, host.node.hand)
        self.scope: trio.CancelScope | None = None  # of the carrier that steps
        self._stepping = Stepping()
        self.context = copy_context()  # of all carriers: that of the first who needed one
        self.context.run(running.set, self._stepping)
        self._spares: list[trio.lowlevel.Task] = []
        self._host = host

    @staticmethod
    def of(host: Host) -> Dispatcher:
        """The dispatcher of a host, made at first need."""
        dispatcher = host.extensions.get("dispatcher")
        if dispatcher is None:
            dispatcher = host.extensions["dispatcher"] = Dispatcher(host)
        found: Dispatcher = dispatcher
        return found

    def add(self, server: Dispatched) -> None:
        """The server has something to do; it must not be in the queue already."""
        self.ready.append(server)
        if self.parked is not None:
            self.unpark()

    def unpark(self) -> None:
        """Sees that a carrier takes the next turn."""
        parked, self.parked = self.parked, None
        if parked is VACANT:
            name = f"dispatcher of {self._host.id}"
            start: Callable[..., None] = self._host.start_system_task
            self.context.run(start, self._carry, name=name)
        elif parked is not None:
            reschedule(parked, GO)  # type: ignore[arg-type]  # a task

    def forget(self, task: trio.lowlevel.Task) -> None:
        """A waiting carrier has been cancelled."""
        if self.parked is task:
            self.parked = VACANT
        elif task in self._spares:
            self._spares.remove(task)

    async def _carry(self) -> None:
        carrier = Carrier(self)
        wanted = True
        try:
            await checkpoint_if_cancelled()  # else it would step after an abort
            while wanted:
                error: BaseException | None = None
                try:
                    with trio.CancelScope() as carrier.scope:
                        wanted = await self._serve(carrier)
                except BaseException as exc:  # noqa: ASYNC103  its process judges it
                    if carrier.held is None:
                        raise
                    error = exc
                held, carrier.held = carrier.held, None
                if held is not None:  # outside the scope: what that has cancelled is filtered out
                    await held.end(error)
                del held, error  # this frame is in its traceback: a cycle
        except BaseException:
            await self._cut()
            raise

    async def _serve(self, carrier: Carrier) -> bool:
        """Steps servers until its scope is used up; False if it is not wanted any more."""
        leave = carrier.leave
        while carrier.stepping or await self._wanted(carrier):
            self.scope = carrier.scope
            held = None
            while held is None:
                if not self.ready:
                    self.parked = carrier.task
                    await wait_task_rescheduled(leave)
                held = self._step()
                if self.ready and held is None:
                    await checkpoint()
            await self._hold(carrier, held)
            del held  # a spare keeps no server alive
            if carrier.scope.cancel_called or carrier.scope.deadline != inf:
                return True
        return False

    def _step(self) -> Held | None:
        """A turn of the dispatcher; a function of its own, so that it keeps no server alive."""
        ready = self.ready
        stepping = self._stepping
        pace = self.pace
        pace.renew()
        held = None
        while ready and (pace.left >= 0 or pace.look()):
            server = ready.popleft()
            stepping.process = server.process
            held = server.turn()
            if held is not None:
                break
        stepping.process = None
        return held

    async def _hold(self, carrier: Carrier, held: Held) -> None:
        """The carrier is the task of this code now, and another one steps the others."""
        carrier.stepping = False
        self.parked = self._spares.pop() if self._spares else VACANT
        if self.ready:
            self.unpark()
        process = held.drive.process
        carrier.held, held.carrier = held, carrier
        if process.rare is not None:
            carrier.scope.deadline = process.deadline
        if process.forced is not None or process.upgrade is not None:  # in its own turn
            held.cancel()
        running.set(process.context)  # for whoever asks whose task it is
        await held.go_on()
        carrier.held = None

    async def _wanted(self, carrier: Carrier) -> bool:
        """Waits until it is to step servers again; False if there are enough others for that."""
        running.set(self._stepping)
        if self.parked is VACANT:
            self.parked = None
            await checkpoint_if_cancelled()  # as it begins
        elif len(self._spares) >= SPARES:
            return False
        else:
            self._spares.append(carrier.task)
            await wait_task_rescheduled(carrier.leave)
        carrier.stepping = True
        return True

    async def _cut(self) -> None:
        """Cancelled with its host: servers end like tasks would (E37)."""
        self.ready.clear()  # no more turns
        self.parked = None
        rest = []
        for process in self._host.processes() if self._host.alive else ():
            if isinstance(process.drive, Dispatched):
                last = process.drive.cut(cancelled_outside())
                if last is not None:
                    rest.append(last)
        self.parked = VACANT  # who is started now is ended in the same way
        if rest:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    for context, code in rest:
                        context.run(nursery.start_soon, _finish, code)


async def _finish(code: Coroutine[Any, Any, None]) -> None:
    await code
