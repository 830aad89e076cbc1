"""Code of a server that waits: in the task where it was begun, and how a server keeps that task.

Who steps it until then is in dispatch.py.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import Context
from types import FrameType, coroutine
from typing import TYPE_CHECKING, Any, Protocol

import trio
from trio.lowlevel import Abort, reschedule

from trio_actors._core.pace import Hand, Pace
from trio_actors._core.subscription import BUDGET
from trio_actors._core.wake import GO, Rest

if TYPE_CHECKING:
    from trio_actors._core.dispatch import Carrier, Dispatched, Waiting


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
        """Lets the code run to its end, in its context variables.

        In place of `await code`, which would have to begin it.
        """
        run: Callable[..., Any] = self.context.run
        send, trap = self.code.send, self._trap
        answer: Any = None
        try:
            while True:
                try:
                    answer = yield trap
                except BaseException as exc:  # noqa: ASYNC103  it goes on in the code
                    trap = run(self.code.throw, exc)
                else:
                    trap = run(send, answer)
                    answer = None  # while it waits it keeps no error alive
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


class Turns(Protocol):
    """Where a server stands that has something to do."""

    @property
    def ready(self) -> Any:
        """Takes the server by `append`."""
        ...

    @property
    def parked(self) -> Any:
        """None unless `unpark` is to be called then."""
        ...

    @property
    def carrier(self) -> Any:
        """Whose turn it is."""
        ...

    @property
    def pace(self) -> Pace:
        """How much may be done before the next checkpoint."""
        ...

    def add(self, server: Dispatched) -> None:
        """As `append`, and `unpark` if need be."""
        ...

    def unpark(self) -> None:
        """Sees that the server has its turn."""
        ...


class Nowhere:
    """In the place of a queue."""

    __slots__ = ()

    def append(self, server: Dispatched) -> None:
        """Nothing: there is only one."""


class Home:
    """In the place of the dispatcher, for a server that has a task of its own.

    From the first time on that its code waits for something the server keeps the task: a lock that
    it has taken, or a nursery that it has opened, belongs to that task. And handlers that have
    waited once do so again: to hand their server from carrier to carrier with each message takes
    twice as long as to wake its own task.
    """

    __slots__ = ("pace", "parked", "rest")
    ready = Nowhere()
    carrier = None

    def __init__(self, hand: Hand) -> None:
        self.pace = Pace(BUDGET, hand)
        self.pace.renew()
        self.parked: trio.lowlevel.Task | None = None  # the server's, while nothing is unread
        self.rest = Rest(self.leave)

    def add(self, server: Dispatched) -> None:
        """The server has something to do."""
        self.unpark()

    def unpark(self) -> None:
        """Wakes its task."""
        task, self.parked = self.parked, None
        if task is not None:
            reschedule(task, GO)

    def leave(self, _: Any) -> Abort:
        """The task is cancelled while it waits for messages."""
        self.parked = None
        return Abort.SUCCEEDED
