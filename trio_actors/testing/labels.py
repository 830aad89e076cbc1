"""Names for processes that are the same in every run of a test, whatever the order of events.

A PID counts spawns, and their order changes with the schedule. A label is made of what does not:
the name under which a process was spawned, else its parent's label and how many children of that
code the parent had before.
"""

from __future__ import annotations

from trio_actors._core.node import Node
from trio_actors._core.pid import CLOCK, CONTROL_HOST, Pid, place_of
from trio_actors._core.process import Process
from trio_actors.testing.footprint import NOT_TAKEN, TEST, WRITE, Footprint
from trio_actors.testing.schedule import safe_label

NODE = "node"  # system senders and watchers
RESERVED = (TEST, NODE, "clock", "buggify", "youngest")  # a process of that name is called name#2


class Labels:
    """The labels of one run."""

    def __init__(self, footprint: Footprint = NOT_TAKEN) -> None:
        self._footprint = footprint
        self._labels: dict[Pid | None, str] = {None: TEST, CLOCK: "clock"}
        self._counts: dict[str, int] = {}
        self._given = dict.fromkeys(RESERVED)
        self._node_seen = False
        self._taken: dict[str, Pid] = {}

    def of(self, pid: Pid | None) -> str:
        """The label of a process that was labelled before, or of a pseudo-sender."""
        label = self._labels.get(pid)
        if label is None:
            assert pid is not None
            _, host = place_of(pid)
            if host != CONTROL_HOST:
                label = self._fresh(safe_label(host))
            else:
                label = self._fresh(NODE) if self._node_seen else NODE
                self._node_seen = True
            self._labels[pid] = label
        return label

    def add(self, node: Node, process: Process) -> str:
        """Labels a process at its first delivery, when its name and parent are known."""
        label = self._labels.get(process.pid)
        if label is not None:
            return label
        names = node.names.names_of(process.pid)
        if names:
            base = safe_label(names[0])
        else:
            base = safe_label(short_name(process.id))
            if process.parent is not None:
                base = f"{self.of(process.parent)}/{base}"
        label = self._fresh(base)
        self._labels[process.pid] = label
        self._taken[label] = process.pid
        return label

    def seen(self, pid: Pid | None) -> str | None:
        """The label of a process, if it has one: looking gives it none."""
        return self._labels.get(pid)

    def pid(self, label: str) -> Pid | None:
        """Whom a label means, if it was given."""
        return self._taken.get(label)

    def known(self) -> dict[Pid, str]:
        """All labelled processes."""
        return {pid: label for label, pid in self._taken.items()}

    def _fresh(self, base: str) -> str:
        self._footprint.touch(("label", base), WRITE)  # who comes first is not the second of it
        label = base
        count = self._counts.get(base, 0)
        while not count or label in self._given:
            count += 1
            label = base if count == 1 else f"{base}#{count}"
        self._counts[base] = count
        self._given[label] = None
        return label


def short_name(id: str) -> str:
    """The last part of a registry id or of `module:qualname`."""
    return id.rpartition(":")[2].rpartition(".")[2] or id
