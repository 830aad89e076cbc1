"""The tables of a node, made so that they note in the footprint who reads and who changes them.

Each table stands for what code can find out from it, so a look that finds nothing is a read too, of
the very thing that is not there. A look at a whole table depends on every entry that comes or goes.
The order of the entries of a whole table is not seen, like the number in a PID.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from trio_actors._core.bounded import DeadLetter, DeadLetters
from trio_actors._core.exit import Exit
from trio_actors._core.exits import ExitMemory, ExitRecord
from trio_actors._core.groups import Groups
from trio_actors._core.message import Message
from trio_actors._core.names import Names
from trio_actors._core.node import Node
from trio_actors._core.pid import Pid
from trio_actors._core.topology import Told, Topology
from trio_actors.testing.footprint import COUNT, EVERY, READ, WRITE, Footprint

Ended = Callable[[Pid, str, Exit], None]


class TracedDict(dict[Any, Any]):
    """A table of the kernel that notes which keys are read and changed; its footprint is taken."""

    __slots__ = ("_footprint", "_kind")

    def __init__(self, footprint: Footprint, kind: str) -> None:
        super().__init__()
        self._footprint = footprint
        self._kind = kind

    def _read(self, key: Any) -> None:
        self._footprint.touch((self._kind, key), READ)

    def _write(self, key: Any) -> None:
        self._footprint.touch((self._kind, key), WRITE)
        self._footprint.touch((self._kind, EVERY), COUNT)

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

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """A write: who calls it changes what it returns."""
        self._write(key)
        return dict.setdefault(self, key, default)

    # Looks at the whole table.

    def __len__(self) -> int:
        self._read(EVERY)
        return dict.__len__(self)

    def __iter__(self) -> Iterator[Any]:
        self._read(EVERY)
        return dict.__iter__(self)

    def keys(self) -> KeysView[Any]:  # type: ignore[override]  # a view like any other
        """A read of every key."""
        self._read(EVERY)
        return dict.keys(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """A read of every key."""
        self._read(EVERY)
        return dict.values(self)

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]
        """A read of every key."""
        self._read(EVERY)
        return dict.items(self)


class TracedNames(Names):
    """Names: who holds one ("name"), and which a process holds ("held"), which its end asks."""

    __slots__ = ("_footprint",)

    def __init__(self, footprint: Footprint) -> None:
        super().__init__()
        self._footprint = footprint
        self.by_name = TracedDict(footprint, "name")
        self.by_pid = TracedDict(footprint, "held")

    def unregister(self, name: str) -> bool:
        """See `Names.unregister`."""
        holder = dict.get(self.by_name, name)
        if holder is not None:
            self._footprint.touch(("held", holder), WRITE)
        return super().unregister(name)


class TracedTopology(Topology):
    """Links and monitors; changes touch the life of both ends. Remembers who is to be told."""

    __slots__ = ("_footprint", "told")

    def __init__(self, footprint: Footprint) -> None:
        super().__init__()
        self._footprint = footprint
        self.told: Told = ([], [])  # of the end that is under way

    def _touch(self, a: Pid, b: Pid) -> None:
        self._footprint.touch(("tie", a), WRITE)
        self._footprint.touch(("tie", b), WRITE)

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
        """See `Topology.remove`: it changes what is known of those it watched, too."""
        watched = super().watched_by(pid)
        self.told = super().remove(pid)
        for one in (pid, *watched, *self.told[0], *self.told[1]):
            self._footprint.touch(("tie", one), WRITE)
        return self.told

    def links_of(self, pid: Pid) -> list[Pid]:
        """See `Topology.links_of`."""
        self._footprint.touch(("tie", pid), READ)
        return super().links_of(pid)

    def watchers_of(self, pid: Pid) -> list[Pid]:
        """See `Topology.watchers_of`."""
        self._footprint.touch(("tie", pid), READ)
        return super().watchers_of(pid)

    def watched_by(self, pid: Pid) -> list[Pid]:
        """See `Topology.watched_by`."""
        self._footprint.touch(("tie", pid), READ)
        return super().watched_by(pid)


class TracedGroups(Groups):
    """Groups: who is in one or watches it ("group"), and which a process is in ("joined")."""

    __slots__ = ("_footprint",)

    def __init__(self, footprint: Footprint) -> None:
        super().__init__()
        self._footprint = footprint

    def _touch(self, group: str, pid: Pid) -> None:
        self._footprint.touch(("group", group), WRITE)
        self._footprint.touch(("joined", pid), WRITE)

    def join(self, group: str, pid: Pid) -> bool:
        """See `Groups.join`."""
        self._touch(group, pid)
        return super().join(group, pid)

    def leave(self, group: str, pid: Pid) -> bool:
        """See `Groups.leave`; an end leaves this way too."""
        self._touch(group, pid)
        return super().leave(group, pid)

    def members(self, group: str) -> list[Pid]:
        """See `Groups.members`."""
        self._footprint.touch(("group", group), READ)
        return super().members(group)

    def groups_of(self, pid: Pid) -> list[str]:
        """See `Groups.groups_of`."""
        self._footprint.touch(("joined", pid), READ)
        return super().groups_of(pid)

    def watch(self, group: str, pid: Pid, topic: str) -> None:
        """See `Groups.watch`."""
        self._touch(group, pid)
        super().watch(group, pid, topic)

    def unwatch(self, group: str, pid: Pid) -> None:
        """See `Groups.unwatch`; an end asks this of all groups, and most are not concerned."""
        if any(entry[0] == pid for entry in super().watchers(group)):
            self._touch(group, pid)
        super().unwatch(group, pid)

    def watchers(self, group: str) -> list[tuple[Pid, str]]:
        """See `Groups.watchers`."""
        self._footprint.touch(("group", group), READ)
        return super().watchers(group)


class TracedExits(ExitMemory):
    """Tells `ended` of every end, in the middle of V20: after step 3, before anybody is told.

    What is remembered of one process is a part of its life.
    """

    __slots__ = ("_ended", "_footprint")

    def __init__(self, shift: float, footprint: Footprint, ended: Ended) -> None:
        super().__init__(shift)
        self._footprint = footprint
        self._ended = ended

    def add(self, pid: Pid, id: str, exit: Exit, at: float) -> None:
        """See `ExitMemory.add`."""
        self._footprint.touch(("exits", EVERY), COUNT)
        super().add(pid, id, exit, at)
        self._ended(pid, id, exit)

    def get(self, pid: str) -> ExitRecord | None:
        """See `ExitMemory.get`."""
        self._footprint.touch(("life", pid), READ)
        return super().get(pid)

    def exit_of(self, pid: Pid) -> Exit | None:
        """See `ExitMemory.exit_of`."""
        self._footprint.touch(("life", pid), READ)
        return super().exit_of(pid)

    def latest(self, count: int) -> list[ExitRecord]:
        """See `ExitMemory.latest`."""
        self._footprint.touch(("exits", EVERY), READ)
        return super().latest(count)

    @property
    def total(self) -> int:
        """See `ExitMemory.total`."""
        self._footprint.touch(("exits", EVERY), READ)
        return super().total


class TracedLetters(DeadLetters):
    """Dead letters: how many, and the last ones in their order."""

    def __init__(self, node: Node, footprint: Footprint) -> None:
        self._footprint = footprint
        super().__init__(node)

    @property
    def count(self) -> int:
        """How many."""
        self._footprint.touch(("letters", EVERY), READ)
        return self._count

    @count.setter
    def count(self, count: int) -> None:
        self._count = count

    @property
    def recent(self) -> deque[DeadLetter]:
        """The last ones."""
        self._footprint.touch(("letters", EVERY), READ)
        return self._recent

    @recent.setter
    def recent(self, recent: deque[DeadLetter]) -> None:
        self._recent = recent

    def add(self, to: Pid, message: Message, reason: str) -> None:
        """See `DeadLetters.add`."""
        self._footprint.touch(("letters", EVERY), WRITE)
        super().add(to, message, reason)

    def watch(self, watcher: Callable[[DeadLetter], None]) -> None:
        """See `DeadLetters.watch`."""
        self._footprint.touch(("letters", EVERY), WRITE)
        super().watch(watcher)

    def unwatch(self, watcher: Callable[[DeadLetter], None]) -> None:
        """See `DeadLetters.unwatch`."""
        self._footprint.touch(("letters", EVERY), WRITE)
        super().unwatch(watcher)


def trace(node: Node, footprint: Footprint, ended: Ended) -> None:
    """Puts traced tables into a node that holds nothing yet."""
    node.topology = TracedTopology(footprint)
    node.exits = TracedExits(node.exits.shift, footprint, ended)
    if footprint.taken:
        node.processes = TracedDict(footprint, "life")
        node.hosts = TracedDict(footprint, "host")
        node.names = TracedNames(footprint)
        node.groups = TracedGroups(footprint)
        node.dead_letters = TracedLetters(node, footprint)
