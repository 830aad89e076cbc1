"""What must hold in every simulated run, whatever the program does (testing.md §3).

The checks watch from outside: what was posted and delivered, who ended, what the kernel's tables
say between two steps. A violation is recorded, not raised, because it is found in the middle of
somebody else's code.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from trio_actors._core.ask import Waiter
from trio_actors._core.exit import Exit
from trio_actors._core.message import Event, EventKind, Message
from trio_actors._core.node import Node
from trio_actors._core.pid import Pid
from trio_actors._core.process import Cancel
from trio_actors.testing.guarded import Guarded
from trio_actors.testing.tables import TracedTopology

if TYPE_CHECKING:
    from trio_actors.testing.delivery import Delivery
    from trio_actors.testing.pump import Pump


class Invariant(StrEnum):
    """The invariants by name."""

    PAIR_ORDER = "messages of a pair arrive in sending order"
    CONSERVATION = "sent = delivered + in transit + swallowed by faults"
    ONE_EXIT = "exactly one EXIT per monitor"
    LINK_DOWN = "LINK_DOWN if and only if the end was abnormal"
    SILENT_DEAD = "nothing is handled after the exit"
    NAMES = "names are released at the exit, and the names of the living resolve"
    INTENSITY = "no supervisor restarts more often than its intensity allows"
    STOP_ORDER = "children stop in reverse start order, one after another"
    NO_ORPHAN = "no process is left at the end"
    NOT_STUCK = "nobody waits for a reply that cannot come"
    TIME = "time does not run backwards"


DEFAULT = frozenset(Invariant)


class Violation(AssertionError):
    """An invariant or a property does not hold; `name` says which."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}" if detail else name)
        self.name = name


class Checks:
    """The invariants of one run."""

    def __init__(
        self, pump: Pump, wanted: frozenset[Invariant], failed: Callable[[Violation], None]
    ) -> None:
        self._pump = pump
        self._wanted = wanted
        self._failed = failed
        self._last: dict[tuple[str, str], int] = {}
        self._expected: dict[tuple[Pid, Pid, EventKind], int] = {}
        self._ends: list[tuple[Node, Pid]] = []
        self._time = 0.0
        self._messages: dict[int, int] = {}
        self._guarded = Guarded(lambda: pump.clock.time, self._label)

    def _violated(self, invariant: Invariant, detail: str) -> None:
        if invariant in self._wanted:
            self._failed(Violation(invariant.value, detail))

    def _wrong(self, invariant: Invariant, detail: str | None) -> None:
        if detail is not None:
            self._violated(invariant, detail)

    # -- while it runs

    def ended(self, node: Node, pid: Pid, id: str, exit: Exit) -> None:
        """V20 between steps 3 and 4: from now on exactly these are told."""
        self._ends.append((node, pid))
        topology = node.topology
        assert isinstance(topology, TracedTopology)
        watchers, peers = topology.told
        for watcher in watchers:
            if watcher in node.processes:
                self._expect(watcher, pid, EventKind.EXIT)
        if exit.abnormal:
            for peer in peers:
                if peer in node.processes:
                    self._expect(peer, pid, EventKind.LINK_DOWN)
        if pid in node.processes:
            self._violated(Invariant.NAMES, f"{self._label(pid)} has ended and is still there")
        names = node.names.names_of(pid)
        if names:
            self._violated(Invariant.NAMES, f"{self._label(pid)} has ended and holds {names}")
        self._wrong(Invariant.STOP_ORDER, self._guarded.ended(pid, exit))

    def _expect(self, receiver: Pid, sender: Pid, kind: EventKind) -> None:
        key = (receiver, sender, kind)
        self._expected[key] = self._expected.get(key, 0) + 1

    def posted(self, delivery: Delivery) -> None:
        """Counts, and compares events with the ends that call for them."""
        item, target = delivery.item, delivery.target
        if target is None:
            return
        if isinstance(item, Message):
            node = id(target.node)
            self._messages[node] = self._messages.get(node, 0) + 1
            self._guarded.received(target, item)
        elif isinstance(item, Event):
            if item.kind not in (EventKind.EXIT, EventKind.LINK_DOWN):
                return
            key = (target.pid, item.sender, item.kind)
            left = self._expected.get(key, 0) - 1
            if left < 0:
                which = Invariant.ONE_EXIT if item.kind is EventKind.EXIT else Invariant.LINK_DOWN
                self._violated(which, f"{delivery.id} tells of no such end, or twice")
            self._expected[key] = left
        elif isinstance(item, Cancel):
            wrong = self._guarded.asked(target, item.event.sender)
            self._wrong(Invariant.STOP_ORDER, wrong)

    def delivering(self, delivery: Delivery) -> None:
        """Order within the pair; a start may be a restart."""
        number = delivery.id.n
        last = self._last.get(delivery.pair, -1)
        if number > last:
            self._last[delivery.pair] = number
        elif number:
            self._violated(Invariant.PAIR_ORDER, f"{delivery.id} after {last}")
        if number == 0 and delivery.target is not None and delivery.target.guardian is not None:
            self._wrong(Invariant.INTENSITY, self._guarded.started(delivery.target))

    def stepped(self, delivery: Delivery | None) -> None:
        """The tables between two steps."""
        now = self._pump.clock.time
        if now < self._time:
            self._violated(Invariant.TIME, f"{now} after {self._time}")
        self._time = now
        if delivery is not None and delivery.target is not None:
            target = delivery.target
            if target.ended and target.mailbox.depth():
                detail = f"{delivery.id.dst} has ended and holds unread messages"
                self._violated(Invariant.SILENT_DEAD, detail)
        if self._ends:
            self._after_ends()

    def _after_ends(self) -> None:
        ends, self._ends = self._ends, []
        for key, count in list(self._expected.items()):
            receiver, sender, kind = key
            if count > 0:
                which = Invariant.ONE_EXIT if kind is EventKind.EXIT else Invariant.LINK_DOWN
                who = f"{self._label(receiver)} was not told that {self._label(sender)} ended"
                self._violated(which, who)
        self._expected.clear()
        for node in {id(node): node for node, _ in ends}.values():
            processes = dict.keys(node.processes)
            for name, pid in dict.items(node.names.by_name):
                if pid not in processes:
                    who = self._label(pid)
                    self._violated(Invariant.NAMES, f"{name!r} is held by {who}, which has ended")

    # -- at the end

    def at_rest(self, *, timeless: bool) -> None:
        """Nothing is in transit; with `timeless` no deadline is pending either."""
        pump = self._pump
        pending = len(pump.pending())
        if pump.sent != pump.delivered + pump.swallowed + pending:
            detail = (
                f"{pump.sent} sent, {pump.delivered} delivered, {pending} in transit,"
                f" {pump.swallowed} swallowed"
            )
            self._violated(Invariant.CONSERVATION, detail)
        for node in pump.nodes:
            if node.delivered > self._messages.get(id(node), 0):
                self._violated(Invariant.CONSERVATION, "a message did not pass post()")
            if timeless:
                self._stuck(node)

    def _stuck(self, node: Node) -> None:
        for process in list(dict.values(node.processes)):
            for watcher in process.watchers():
                waiter = getattr(watcher, "__self__", None)
                if isinstance(waiter, Waiter) and waiter.pending:
                    detail = f"somebody waits for a reply of {self._label(process.pid)}"
                    self._violated(Invariant.NOT_STUCK, detail)

    def closed(self, node: Node, left: list[Any]) -> None:
        """The hosts are closed."""
        for process in left:
            self._violated(Invariant.NO_ORPHAN, f"{self._label(process.pid)} is still there")

    def _label(self, pid: Pid) -> str:
        return self._pump.labels.of(pid)
