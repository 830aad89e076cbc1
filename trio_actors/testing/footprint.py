"""What a step touched: which processes ran, and which parts of the kernel they read or wrote.

Two steps commute if neither wrote what the other touched. Time commutes with nothing. What the
processes share behind the kernel's back (Python objects in a closure) is not seen here.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import trio

from trio_actors._core.context import ProcessContext
from trio_actors._core.current import Stepping, running
from trio_actors._core.exit import Exit
from trio_actors._core.exits import ExitMemory
from trio_actors._core.names import Names
from trio_actors._core.node import Node
from trio_actors._core.pid import Pid
from trio_actors._core.topology import Told, Topology
from trio_actors.testing.labels import TEST, Labels

Resource = tuple[str, str]


class Footprint:
    """Collects what the step under way touches: resource -> was it written?

    Only if it is `taken`; otherwise nothing is collected.
    """

    __slots__ = ("now", "taken")

    def __init__(self, *, taken: bool) -> None:
        self.taken = taken
        self.now: dict[Any, bool] = {}  # of the step under way

    def begin(self, resource: Resource) -> None:
        """A step begins; it writes `resource`."""
        if self.taken:
            self.now = {resource: True}

    def touch(self, resource: Hashable, write: bool) -> None:
        """The step reads or writes something."""
        if self.taken and (write or resource not in self.now):
            self.now[resource] = write

    def end(self) -> dict[Any, bool] | None:
        """What the step touched."""
        if not self.taken:
            return None
        now, self.now = self.now, {}
        return now or {("nothing", ""): False}


NOT_TAKEN = Footprint(taken=False)


def conflict(a: dict[Any, bool], b: dict[Any, bool]) -> bool:
    """Whether the order of two steps can matter."""
    if ("time", "") in a or ("time", "") in b:
        return True
    for resource, written in a.items():
        other = b.get(resource)
        if other or (written and other is not None):
            return True
    return False


class TracedDict(dict[Any, Any]):
    """A table of the kernel that notes which keys are read and written; its footprint is taken."""

    __slots__ = ("_footprint", "_kind")

    def __init__(self, footprint: Footprint, kind: str) -> None:
        super().__init__()
        self._footprint = footprint
        self._kind = kind

    def _read(self, key: Any) -> None:
        self._footprint.now.setdefault((self._kind, key), False)

    def _write(self, key: Any) -> None:
        self._footprint.now[self._kind, key] = True

    def get(self, key: Any, default: Any = None) -> Any:
        """A read."""
        self._read(key)
        return dict.get(self, key, default)

    def __getitem__(self, key: Any) -> Any:
        self._read(key)
        return dict.__getitem__(self, key)

    def __contains__(self, key: object) -> bool:
        self._read(key)
        return dict.__contains__(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._write(key)
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._write(key)
        dict.__delitem__(self, key)

    def pop(self, key: Any, *default: Any) -> Any:
        """A write."""
        self._write(key)
        return dict.pop(self, key, *default)


class TracedNames(Names):
    """Names whose table is traced."""

    __slots__ = ()

    def __init__(self, footprint: Footprint) -> None:
        super().__init__()
        self.by_name = TracedDict(footprint, "name")


class TracedTopology(Topology):
    """Links and monitors; changes touch the life of both ends. Remembers who is to be told."""

    __slots__ = ("_footprint", "told")

    def __init__(self, footprint: Footprint) -> None:
        super().__init__()
        self._footprint = footprint
        self.told: Told = ([], [])  # of the end that is under way

    def _touch(self, a: Pid, b: Pid) -> None:
        self._footprint.touch(("tie", a), True)
        self._footprint.touch(("tie", b), True)

    def link(self, a: Pid, b: Pid) -> bool:
        """See `Topology.link`."""
        self._touch(a, b)
        return super().link(a, b)

    def unlink(self, a: Pid, b: Pid) -> bool:
        """See `Topology.unlink`."""
        self._touch(a, b)
        return super().unlink(a, b)

    def monitor(self, watcher: Pid, target: Pid) -> bool:
        """See `Topology.monitor`."""
        self._touch(watcher, target)
        return super().monitor(watcher, target)

    def unmonitor(self, watcher: Pid, target: Pid) -> bool:
        """See `Topology.unmonitor`."""
        self._touch(watcher, target)
        return super().unmonitor(watcher, target)

    def remove(self, pid: Pid) -> Told:
        """See `Topology.remove`."""
        self._footprint.touch(("tie", pid), True)
        self.told = super().remove(pid)
        for other in (*self.told[0], *self.told[1]):
            self._footprint.touch(("tie", other), True)
        return self.told


class TracedExits(ExitMemory):
    """Tells `on_exit` of every end, in the middle of V20: after step 3, before anybody is told."""

    __slots__ = ("_ended",)

    def __init__(self, shift: float, ended: Any) -> None:
        super().__init__(shift)
        self._ended = ended

    def add(self, pid: Pid, id: str, exit: Exit, at: float) -> None:
        """See `ExitMemory.add`."""
        super().add(pid, id, exit, at)
        self._ended(pid, id, exit)


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
        self.footprint = NOT_TAKEN  # of the run under way
        self.labels = Labels()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio is about to run a task."""
        footprint = self.footprint
        if not footprint.taken:
            return
        if task is self._main:
            footprint.now["run", TEST] = True
            return
        pid = owner_of(task.context.get(running))
        if pid is not None:
            footprint.now["run", self.labels.of(pid)] = True


def trace(node: Node, footprint: Footprint, ended: Any) -> None:
    """Puts traced tables into a node that holds nothing yet."""
    node.topology = TracedTopology(footprint)
    node.exits = TracedExits(node.exits.shift, ended)
    if footprint.taken:
        node.processes = TracedDict(footprint, "life")
        node.names = TracedNames(footprint)
