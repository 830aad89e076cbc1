"""What stands in a node's gate: hands everything to the pump, and notes what is touched."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from trio_actors._core.node import Node
from trio_actors._core.pid import Pid
from trio_actors._core.process import ExitWatcher, Item, Process
from trio_actors.testing.footprint import READ, WRITE

if TYPE_CHECKING:
    from trio_actors.testing.pump import Pump


class NodeGate:
    """What stands in a node's `gate`."""

    def __init__(self, pump: Pump, node: Node) -> None:
        self._pump = pump
        self._node = node

    def post(self, source: Pid | None, target: Process, item: Item) -> None:
        """See `Pump.post`."""
        self._pump.post(self._node, source, target, item)

    def touch(self, kind: str, key: Hashable, *, write: bool) -> None:
        """See `Pump.footprint`; the state of a process is touched as by itself."""
        if kind == "turn":
            self._pump.footprint.checkpoint()
            return
        if kind == "process":
            label = self._pump.labels.seen(key)  # type: ignore[arg-type]  # a PID, or None
            kind, key = "run", label or key
        self._pump.footprint.touch((kind, key), WRITE if write else READ)

    def waits(self, process: Process, watcher: ExitWatcher) -> None:
        """See `Waiting.begins`."""
        self._pump.waiting.begins(process.pid, watcher)

    def forgets(self, process: Process, watcher: ExitWatcher) -> None:
        """See `Waiting.stops`."""
        self._pump.waiting.stops(process.pid, watcher)

    def reply(self, source: Process, caller: Pid | None, deliver: Callable[[], object]) -> None:
        """The answer to a request; its pair is that of messages from callee to caller."""
        labels = self._pump.labels
        self._pump.post_action(labels.add(self._node, source), labels.of(caller), "reply", deliver)
