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
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from sys import getrefcount
from types import coroutine
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import (
    Task,
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    enable_ki_protection,
    reschedule,
)

from trio_actors._core.carrier import SIGHT, Carrier
from trio_actors._core.current import Stepping, running
from trio_actors._core.exit import Exit, cancelled_outside
from trio_actors._core.held import go_on
from trio_actors._core.pace import Pace
from trio_actors._core.wake import ASLEEP, GO, SHARED, sleep

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors._core.process import Process

BATCH = 1024  # messages in one turn of the dispatcher, which lasts 1 ms at most (pace.py)
TURN = 128  # messages of one process in a row
MOST = 32  # carriers that step at a time: when they have no use for each other, all are kept
SPARES = 64  # free carriers that are kept: about 3 KB each


class Dispatched(ABC):
    """What a dispatcher steps."""

    __slots__ = ()
    process: Process

    @abstractmethod
    def turn(self) -> Waiting | None:
        """Does what there is to do, and stands in the queue again if there is more.

        Itself if its code waits for something in Trio: this task is its own from now on.
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

    code: Coroutine[Any, Any, Any] | None  # what is stepped, or waits
    context: Context  # of all its code
    trap: Any  # what it waits for, as Trio is to be told
    carrier: Carrier | None  # whose task is its own
    ending: bool  # it is `end_code` that waits

    @abstractmethod
    async def end_code(self, value: Any, error: BaseException | None) -> None:
        """Its code has ended, in its own task: what that means for the process."""

    def cancel(self) -> None:
        """Its end, or an upgrade, was decided while it has a task."""
        forced = self.process.forced
        assert self.carrier is not None
        self.carrier.scope.cancel(reason=forced.message if forced else "upgrade")


class Vacant:
    """Stands for a carrier that has not been started."""

    __slots__ = ()


VACANT = Vacant()


class Dispatcher:
    """Steps the servers of one host."""

    def __init__(self, host: Host) -> None:
        self.ready: deque[Dispatched] = deque()
        self.parked: Task | Vacant | None = VACANT  # whom to wake for the next turn
        self.pace = Pace(BATCH, host.node.hand)
        self.carrier: Carrier | None = None  # the one that steps
        self._stepping = Stepping()
        self.context = copy_context()  # of all carriers: that of the first who needed one
        self.context.run(running.set, self._stepping)
        self._steppers = 0  # carriers that step, or are about to; none while one is parked
        self._spares: list[Task] = []
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

    @enable_ki_protection
    def add(self, server: Dispatched) -> None:
        """The server has something to do; it must not be in the queue already."""
        self.ready.append(server)
        if self.parked is not None:
            self.unpark()

    @enable_ki_protection
    def unpark(self) -> None:
        """Sees that a carrier takes the next turn, and moves the hand: it has stood still."""
        hand = self.pace.hand
        hand.at = hand.stamp()  # look, written out
        parked = self.parked
        if parked is not None:
            self.parked = None
            self._steppers = 1
            if parked.__class__ is Task and parked.custom_sleep_data is self:
                reschedule(parked, GO)  # `_wake`, written out
            else:
                self._wake(parked)

    @enable_ki_protection
    def _wake(self, carrier: Task | Vacant) -> None:
        if isinstance(carrier, Task) and carrier.custom_sleep_data is self:
            reschedule(carrier, GO)
        else:  # not started yet, or cancelled meanwhile
            start: Callable[..., None] = self._host.start_system_task
            self.context.run(start, self._carry, name=self._name)

    @enable_ki_protection
    async def _carry(self) -> None:
        """Steps, and runs what waits to its end; then goes on with stepping if that is wanted.

        One coroutine, not several: each frame of a process that waits costs 0.3 KB.
        """
        carrier = Carrier()
        task = carrier.task
        waiting: Waiting | None = None
        try:
            await checkpoint_if_cancelled()  # else it would step after an abort
            while True:
                value: Any = None
                error: BaseException | None = None
                try:
                    with trio.CancelScope() as carrier.scope:
                        while True:
                            waiting = await self._serve(carrier)
                            if waiting is None:
                                return
                            assert waiting.code is not None
                            try:
                                value = await go_on(waiting.code, waiting.trap)
                            finally:
                                if task.child_nurseries:  # the scope's end is an error now
                                    carrier.scope.cancel(reason="a nursery was left open")
                            if carrier.used() or not carrier.untied():
                                break
                            await self._end_code(carrier, waiting, value, None)
                            waiting = value = None
                            if carrier.used():  # an end was decided meanwhile
                                break
                except BaseException as exc:  # noqa: ASYNC103  its process judges it
                    if waiting is None or waiting.trap is None:  # none, or its end went wrong
                        raise
                    error = exc
                if waiting is not None:  # outside the scope, which filters what it has cancelled
                    await self._end_code(carrier, waiting, value, error)
                    waiting = value = None
                del error  # this frame is in its traceback: a cycle
                if not await self._usable(carrier):
                    return
        except BaseException:
            await self.cut()  # noqa: ASYNC102  it shields itself
            raise

    @enable_ki_protection
    async def _usable(self, carrier: Carrier) -> bool:
        """Whether nothing of what it has held belongs to its task.

        Never where runs are to repeat: what is garbage, but was not collected yet, counts too.
        """
        if self._host.node.gate is not None:
            return False
        if not carrier.free():
            await cancel_shielded_checkpoint()  # until then Trio keeps the error that it was sent
        return carrier.free()

    @enable_ki_protection
    @coroutine
    def _serve(self, carrier: Carrier) -> Generator[Any, Any, Waiting | None]:
        """Steps processes until the code of one waits; None if there are enough other carriers."""
        while carrier.stepping or (yield from self._wanted(carrier)):
            if not self.ready:
                if self._steppers > 1:
                    self._retire(carrier)
                    continue
                self._steppers = 0
                self.parked = carrier.task
                carrier.task.custom_sleep_data = self
                if SHARED:  # sleep, written out: the turn of one message is a fiftieth quicker
                    got = yield ASLEEP
                    if got is not GO:
                        try:
                            got.unwrap()
                        finally:
                            del got  # it would be in a cycle with its error
                else:
                    yield from sleep()
            self.carrier = carrier
            waiting = self._step(carrier)
            if waiting is not None:
                self._hold(carrier, waiting)
                return waiting
            if self._steppers > 1:
                self._retire(carrier)
            elif self.ready:
                yield from checkpoint()  # noqa: ASYNC105  a generator
        return None

    @enable_ki_protection
    def _step(self, carrier: Carrier) -> Waiting | None:
        """A turn of the dispatcher; a function of its own, so that it keeps no process alive.

        It has no variable with the task: as long as somebody kept an error of this turn, with the
        frames of its traceback, that would be a reference which could go away in a later turn.
        """
        ready = self.ready
        stepping = self._stepping
        pace = self.pace
        if self._steppers == 1:  # several share what one has: together they last 1 ms at most
            pace.left = 0  # renew, written out
            pace.until = 0.0
        carrier.innermost = SIGHT.innermost(carrier.task)
        carrier.references = getrefcount(carrier.task)  # what ties code to it is beyond this
        waiting = None
        while ready and (pace.left >= 0 or pace.look()):
            one = ready.popleft()
            stepping.process = one.process
            waiting = one.turn()
            if waiting is not None:
                break
        stepping.process = None
        return waiting

    @enable_ki_protection
    def _hold(self, carrier: Carrier, waiting: Waiting) -> None:
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
        process = waiting.process
        waiting.carrier = carrier  # type: ignore[misc]  # a slot of those that wait
        if process.forced is not None or process.upgrade is not None:  # in its own turn
            waiting.cancel()
        carrier.task.context = waiting.context  # as soon as it goes on
        carrier.task.name = process.id

    @enable_ki_protection
    async def _end_code(
        self, carrier: Carrier, waiting: Waiting, value: Any, error: BaseException | None
    ) -> None:
        """What waited has ended; the carrier can step again, or hold other code."""
        try:
            if not waiting.ending:
                await waiting.end_code(value, error)
            elif error is not None:
                raise error
        finally:
            del error  # this frame is in its traceback: a cycle
            waiting.carrier = waiting.code = waiting.trap = None  # type: ignore[misc]
            carrier.task.context = carrier.context
            carrier.task.name = self._name

    @enable_ki_protection
    def _retire(self, carrier: Carrier) -> None:
        """It does not step servers any more."""
        carrier.stepping = False
        self._steppers -= 1

    @enable_ki_protection
    async def _wanted(self, carrier: Carrier) -> bool:
        """Waits until it is to step servers again; False if there are enough others for that."""
        if self.parked is VACANT:
            self.pace.hand.look()  # as `unpark`: nobody else takes the place from now on
            self.parked = None
            self._steppers = 1
            await checkpoint()  # as a carrier begins, and with the context of one
        elif len(self._spares) >= SPARES:
            return False
        else:
            self._spares.append(carrier.task)
            carrier.task.custom_sleep_data = self
            await sleep()
        carrier.stepping = True
        return True

    @enable_ki_protection
    async def cut(self) -> None:
        """Its host is cancelled: what it steps ends like tasks would (E37). Repeatable."""
        self.ready.clear()  # no more turns
        self.parked = None
        rest = []
        for process in self._host.processes() if self._host.alive else ():
            if isinstance(process.drive, Dispatched):
                last = process.drive.cut(process.forced or cancelled_outside())  # E40
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
