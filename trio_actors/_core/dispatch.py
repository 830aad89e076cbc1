"""The tasks of a host that step its servers (design.md §5).

The theory: a runnable server stands in the dispatcher's queue exactly once. A turn of the
dispatcher handles at most BATCH messages or lasts 1 ms, then comes a checkpoint.

The dispatcher's work is done by *carriers*, tasks of the host of which mostly one steps. When the
code of a server waits for something, the carrier that stepped it becomes its task, with a cancel
scope around it (held.py), until its end; another carrier steps the others. So code that waits goes
on in the same task, and code that never waits needs none. A carrier that is free again is kept as a
spare: to wake one costs a third of starting one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from math import inf
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import (
    Abort,
    checkpoint,
    checkpoint_if_cancelled,
    current_task,
    reschedule,
)

from trio_actors._core.current import Stepping, running
from trio_actors._core.exit import Exit, cancelled_outside
from trio_actors._core.held import Held
from trio_actors._core.pace import Pace
from trio_actors._core.wake import GO, Rest

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors._core.process import Process

BATCH = 1024  # messages in one turn of the dispatcher, which lasts 1 ms at most (pace.py)
MOST = 32  # carriers that step at a time: when they have no use for each other, all are kept
SPARES = 64  # free carriers that are kept: about 3 KB each


class Carrier:
    """A task that steps servers, or that belongs to one of them while its code waits."""

    __slots__ = ("_dispatcher", "_rest", "held", "scope", "stepping", "task")
    held: Held | None  # the code whose task it is
    scope: trio.CancelScope  # around all code; a new one when it was used

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.task = current_task()
        self.stepping = True  # else it waits until it is wanted
        self.held = None
        self._rest: Rest | None = None

    def rest(self) -> Awaitable[Any]:
        """Until it is woken. A carrier that never waits is five objects less for the collector."""
        if self._rest is None:
            self._rest = Rest(self.leave)
        return self._rest.wait()

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
        self.carrier: Carrier | None = None  # the one that steps
        self._stepping = Stepping()
        self.context = copy_context()  # of all carriers: that of the first who needed one
        self.context.run(running.set, self._stepping)
        self._steppers = 0  # carriers that step, or are about to; none while one is parked
        self._spares: list[trio.lowlevel.Task] = []
        self._host = host
        self._name = f"dispatcher of {host.id}"
        self.pace.hand.look()

    @staticmethod
    def of(host: Host) -> Dispatcher:
        """The dispatcher of a host, made at first need."""
        dispatcher = host.dispatcher
        if dispatcher is None:
            dispatcher = host.dispatcher = Dispatcher(host)
        return dispatcher

    def add(self, server: Dispatched) -> None:
        """The server has something to do; it must not be in the queue already."""
        self.ready.append(server)
        if self.parked is not None:
            self.unpark()

    def unpark(self) -> None:
        """Sees that a carrier takes the next turn, and moves the hand: it has stood still."""
        self.pace.hand.look()
        parked, self.parked = self.parked, None
        if parked is not None:
            self._steppers = 1
            self._wake(parked)

    def _wake(self, carrier: trio.lowlevel.Task | Vacant) -> None:
        if carrier is VACANT:
            start: Callable[..., None] = self._host.start_system_task
            self.context.run(start, self._carry, name=self._name)
        else:
            reschedule(carrier, GO)  # type: ignore[arg-type]  # a task

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
                    self._belongs(carrier, held.drive.process)
                    try:
                        await held.end(error)
                    finally:
                        self._belongs(carrier, None)
                del held, error  # this frame is in its traceback: a cycle
                wanted = wanted and not carrier.task.child_nurseries  # else it is of no use
        except BaseException:
            await self._cut()  # noqa: ASYNC102  it shields itself
            raise

    async def _serve(self, carrier: Carrier) -> bool:
        """Steps servers until its scope is used up; False if there are enough other carriers."""
        while carrier.stepping or await self._wanted(carrier):
            if not self.ready:
                if self._steppers > 1:
                    self._retire(carrier)
                    continue
                self._steppers = 0
                self.parked = carrier.task
                await carrier.rest()
            self.carrier = carrier
            held = self._step()
            if held is not None:
                await self._hold(carrier, held)
                held = None  # it is not kept alive by a carrier that waits
                scope = carrier.scope
                if scope.cancel_called or scope.deadline != inf or carrier.held is not None:
                    return True
            elif self._steppers > 1:
                self._retire(carrier)
            elif self.ready:
                await checkpoint()
        return False

    def _step(self) -> Held | None:
        """A turn of the dispatcher; a function of its own, so that it keeps no server alive."""
        ready = self.ready
        stepping = self._stepping
        pace = self.pace
        if self._steppers == 1:  # several share what one has: together they last 1 ms at most
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
        """The carrier is the task of this code now, and others step the others.

        Two take its place: so 1,000 servers that wait in their first turn have begun after ten
        turns of Trio's loop, not after 1,000.
        """
        self._retire(carrier)
        for _ in range(min(2, len(self.ready), MOST - self._steppers)):
            self._steppers += 1
            self._wake(self._spares.pop() if self._spares else VACANT)
        if not self._steppers:
            self.parked = self._spares.pop() if self._spares else VACANT
        process = held.drive.process
        carrier.held, held.carrier = held, carrier
        if process.rare is not None:
            carrier.scope.deadline = process.deadline
        if process.forced is not None or process.upgrade is not None:  # in its own turn
            held.cancel()
        self._belongs(carrier, process)
        try:
            await held.go_on()
            carrier.held = None
        finally:
            self._belongs(carrier, None)
            if carrier.task.child_nurseries:  # the scope's end is an error now, which is its own
                carrier.held = held
                carrier.scope.cancel(reason="a nursery was left open")

    def _belongs(self, carrier: Carrier, process: Process | None) -> None:
        """For whoever asks whose task it is: the running process, and the task's name."""
        running.set(self._stepping if process is None else process.context)
        carrier.task.name = self._name if process is None else process.id

    def _retire(self, carrier: Carrier) -> None:
        """It does not step servers any more."""
        carrier.stepping = False
        self._steppers -= 1

    async def _wanted(self, carrier: Carrier) -> bool:
        """Waits until it is to step servers again; False if there are enough others for that."""
        if self.parked is VACANT:
            await checkpoint_if_cancelled()  # as a carrier begins
            self.parked = None
            self._steppers = 1
        elif len(self._spares) >= SPARES:
            return False
        else:
            self._spares.append(carrier.task)
            await carrier.rest()
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
            with trio.CancelScope(shield=True):  # noqa: ASYNC100  the nursery's end is one
                async with trio.open_nursery() as nursery:
                    for context, code in rest:
                        context.run(nursery.start_soon, _finish, code)


async def _finish(code: Coroutine[Any, Any, None]) -> None:
    await code
