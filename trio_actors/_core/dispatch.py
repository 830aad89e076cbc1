"""The task of a host that steps its servers with plain handlers (design.md §5).

The theory: a runnable server stands in the dispatcher's queue exactly once. A turn of the
dispatcher handles at most BATCH messages or lasts 1 ms, then comes a checkpoint.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.current import Stepping, running
from trio_actors._core.exit import Exit, cancelled_outside
from trio_actors._core.pace import Pace
from trio_actors._core.wake import GO

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors._core.process import Process

BATCH = 1024  # messages in one turn of the dispatcher, which lasts 1 ms at most (pace.py)


class Dispatched(ABC):
    """What a dispatcher steps."""

    __slots__ = ()
    process: Process

    @abstractmethod
    def turn(self) -> None:
        """Does what there is to do, and stands in the queue again if there is more."""

    @abstractmethod
    def end(self, end: Exit) -> None:
        """Ends now, with this exit."""


class Dispatcher:
    """Steps the plain servers of one host."""

    def __init__(self, host: Host) -> None:
        self.ready: deque[Dispatched] = deque()
        self.parked: trio.lowlevel.Task | None = None
        self.pace = Pace(BATCH, host.node.hand)
        self.context = Context()  # until its task has begun, when nothing has been stepped yet
        self._stepping = Stepping()
        self._host = host
        self.pace.hand.look()
        host.start_system_task(self._run, name=f"dispatcher of {host.id}")

    @staticmethod
    def of(host: Host) -> Dispatcher:
        """The dispatcher of a host, started at first need."""
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
        """Wakes the dispatcher's task, and moves the hand: it has stood still (see quick.py)."""
        self.pace.hand.look()
        task, self.parked = self.parked, None
        if task is not None:
            trio.lowlevel.reschedule(task, GO)

    async def _run(self) -> None:
        running.set(self._stepping)
        self.context = copy_context()
        try:
            await self._step_for_ever()
        finally:  # cancelled with its host: servers end like tasks would (E37)
            for process in self._host.processes():
                if isinstance(process.drive, Dispatched):
                    process.drive.end(cancelled_outside())

    async def _step_for_ever(self) -> None:
        while True:
            if not self.ready:
                self.parked = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._leave)
            self._step()
            if self.ready:
                await trio.lowlevel.checkpoint()

    def _step(self) -> None:
        """A turn of the dispatcher; a function of its own, so that it keeps no server alive."""
        ready = self.ready
        stepping = self._stepping
        pace = self.pace
        pace.renew()
        while ready and (pace.left >= 0 or pace.look()):
            server = ready.popleft()
            stepping.process = server.process
            server.turn()
        stepping.process = None

    def _leave(self, _: Any) -> trio.lowlevel.Abort:
        self.parked = None
        return trio.lowlevel.Abort.SUCCEEDED
