"""What a step touched: which processes ran, and which parts of the kernel they read or changed.

Two steps commute if neither changed what the other touched, or both changed it in a way in which
changes commute. Time commutes with nothing. What is noted where: the tables of a node in tables.py;
what is posted in pump.py; tasks that run here; the rest by `Node.touch`. What the processes share
behind the kernel's back (Python objects in a closure) is not seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.context import ProcessContext
from trio_actors._core.current import Stepping, running
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors.testing.labels import Labels

Resource = tuple[str, Hashable]

# How a step touched something. Reads commute with reads, counts with counts, nothing else does.
READ = 0
WRITE = 1
COUNT = 2  # one more, or one less: the order of such changes is not seen, their number is

TEST = "test"  # the label of the test itself, and of whatever else is no process
EVERY = None  # in place of a key: the whole table was looked at, or has got one more or one less

# Whether time can pass (`Pump.can_tick`). Every step may be what it waits for, and reads this. One
# that sends a signal or puts off the next deadline counts too: perhaps time could pass after others
# and before it, and no run that makes it first shows that.
TICK = "tick", ""
TIMED = "timed", ""  # there is a deadline


class Footprint:
    """Collects what the step under way touches: resource -> READ, WRITE or COUNT.

    Only if it is `taken`; otherwise nothing is collected. `more()` says whether another step could
    come before the one under way is over. If one could where code came to a checkpoint, between two
    looks at what processes share, this has `yielded`: no step stands for the second of them.
    """

    __slots__ = ("_cut", "_more", "now", "taken", "yielded")

    def __init__(self, *, taken: bool, more: Callable[[], bool] = lambda: False) -> None:
        self.taken = taken
        self._more = more
        self._cut = False  # the step under way was, after a look
        self.yielded = False
        self.now: dict[Any, int] = {}  # of the step under way

    def checkpoint(self) -> None:
        """Code of a process lets others run."""
        if self.taken and not self.yielded and self._more():
            self._cut = any(_shared(resource, access) for resource, access in self.now.items())

    def begin(self, resource: Resource) -> None:
        """A step begins; it writes `resource`."""
        if self.taken:
            self.now = {resource: WRITE}

    def touch(self, resource: Resource, access: int) -> None:
        """The step reads or changes something."""
        if not self.taken:
            return
        if self.now.setdefault(resource, access) != access:
            self.now[resource] = WRITE
        if self._cut and _shared(resource, access):
            self.yielded = True

    def runs(self) -> list[Resource]:
        """The processes that have run so far in this step."""
        return [resource for resource in self.now if resource[0] == "run"]

    def end(self) -> dict[Any, int] | None:
        """What the step touched."""
        if not self.taken:
            return None
        now, self.now = self.now, {}
        self._cut = False
        return now or {("nothing", ""): READ}


def _shared(resource: Resource, access: int) -> bool:
    """Whether code sees what others do by it, or shows them; its begin and end touch more."""
    return (resource[0], access) in _SHARED


_SHARED = frozenset(
    {(kind, access) for kind in ("name", "group", "events") for access in (READ, WRITE)}
    | {(kind, READ) for kind in ("life", "exits", "letters")}
    | {("tie", WRITE)}
)
NOT_TAKEN = Footprint(taken=False)


def conflict(a: dict[Any, int], b: dict[Any, int]) -> bool:
    """Whether the order of two steps can matter."""
    if ("time", "") in a or ("time", "") in b:
        return True
    for resource, access in a.items():
        other = b.get(resource)
        if other is not None and (other != access or access == WRITE):
            return True
    return False


def owner_of(context: ProcessContext | Stepping | None) -> Pid | None:
    """The process in whose task it is; None outside processes, and for a call that none has made.

    A function call has no PID of its own until something asks for it, and a look must not ask:
    runs that are looked at more closely than others have to be the same runs.
    """
    if isinstance(context, Stepping):
        return None if context.process is None else context.process.pid
    owner = None if context is None else context.owner
    return None if owner is None else owner.pid


class RanInstrument(trio.abc.Instrument):
    """Notes whose tasks ran in a step: an end may wake its callers without a message.

    It is the same as if something was delivered to them: both may read what has arrived so far.
    """

    def __init__(self, main: trio.lowlevel.Task) -> None:
        self._main = main  # the task of the test itself
        self._running: trio.lowlevel.Task | None = None
        self.footprint = NOT_TAKEN  # of the run under way
        self.labels: Labels  # of that run

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio is about to run a task."""
        footprint = self.footprint
        if not footprint.taken:
            return
        self._running = task
        if task is self._main:
            footprint.now["run", TEST] = WRITE
            return
        pid = owner_of(task.context.get(running))
        if pid is not None:
            footprint.now["run", self.labels.of(pid)] = WRITE

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """A task will run: if it is the one that runs, it has come to a checkpoint."""
        if task is self._running and owner_of(task.context.get(running)) is not None:
            self.footprint.checkpoint()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """It has run."""
        self._running = None
