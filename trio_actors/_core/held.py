"""Code that waits: in the task where it was begun, which is its own from then on.

Who steps it until then is in dispatch.py.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Iterator
from types import FrameType, coroutine
from typing import TYPE_CHECKING, Any, Protocol

from trio.lowlevel import Task, disable_ki_protection, enable_ki_protection, reschedule

from trio_actors._core.pace import Hand, Pace
from trio_actors._core.subscription import BUDGET
from trio_actors._core.wake import ASLEEP, GO, IDLE

if TYPE_CHECKING:
    from trio_actors._core.dispatch import Dispatched


class _NextTurn:
    """Awaited in code that is not tied to a task: until its next turn it needs none."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __await__(self) -> Generator[object, None, None]: ...
    else:
        __await__ = staticmethod((IDLE,).__iter__)  # a third less than a generator takes


NEXT_TURN = _NextTurn()


@disable_ki_protection
@coroutine
def go_on(code: Coroutine[Any, Any, Any], trap: Any) -> Generator[Any, Any, Any]:
    """Lets code that waits for `trap` run to its end, whose value it returns.

    In place of `await code`, which would have to begin it. From the first wait on that ends with
    nothing but GO it is as fast: what the code yields goes to Trio without passing through here.
    """
    answer: Any = None
    try:
        while True:
            try:
                answer = yield trap
            except BaseException as exc:  # noqa: ASYNC103  it goes on in the code
                trap = code.throw(exc)
            else:
                if answer is GO and trap is ASLEEP:
                    return (yield from code)
                trap = code.send(answer)
                answer = None  # while it waits it keeps no error alive
    except StopIteration as stop:
        return stop.value
    finally:
        del answer  # this frame is in the traceback of its error: a cycle


def frames_of(code: Any) -> Iterator[tuple[FrameType, int]]:
    """Where code waits, as frames and lines, outermost first."""
    while code is not None:
        frame = getattr(code, "cr_frame", None) or getattr(code, "gi_frame", None)
        if frame is not None:
            yield frame, frame.f_lineno
        code = getattr(code, "cr_await", None) or getattr(code, "gi_yieldfrom", None)


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


class Home(Pace):
    """In the place of the dispatcher, for a server that has a task of its own.

    From the first time on that its code waits for something the server keeps the task: a lock that
    it has taken, or a nursery that it has opened, belongs to that task. And handlers that have
    waited once do so again: to hand their server from carrier to carrier with each message takes
    twice as long as to wake its own task.
    """

    __slots__ = ("parked",)
    ready = Nowhere()
    carrier = None

    def __init__(self, hand: Hand) -> None:
        super().__init__(BUDGET, hand)
        self.renew()
        self.parked: Task | None = None  # the server's, while nothing is unread

    @property
    def pace(self) -> Pace:
        """Its own."""
        return self

    @enable_ki_protection
    def park(self, task: Task) -> None:
        """Its task is about to sleep."""
        self.parked = task
        task.custom_sleep_data = self

    @enable_ki_protection
    def add(self, server: Dispatched) -> None:
        """The server has something to do."""
        self.unpark()

    @enable_ki_protection
    def unpark(self) -> None:
        """Wakes its task, unless that was cancelled."""
        task, self.parked = self.parked, None
        if task is not None and task.custom_sleep_data is self:
            reschedule(task, GO)
