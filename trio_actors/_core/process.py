"""The record of one process: its identity, its mailbox, and the one decision about its end.

What is here does not know how the code is run; see `code.Drive`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from trio_actors._core.exit import Cause, CauseKind, Exit, Forced, deadline_exceeded, link_failed
from trio_actors._core.inherited import Inherited
from trio_actors._core.lifecycle import LIFE, IllegalStep, State, Step
from trio_actors._core.mailbox import Mailbox
from trio_actors._core.message import Event, EventKind, Message
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors._core.bounded import Entrance
    from trio_actors._core.code import Drive, Target
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.host import Host
    from trio_actors._core.node import Node
    from trio_actors._core.owned import Tasks, Timers

ExitWatcher = Callable[[Exit], None]


class Start:
    """The first thing that is delivered to a process: begin (TS1: a spawn is a delivery too)."""

    __slots__ = ()


START = Start()


class Cancel:
    """A request to end, as it travels: the event, and the deadline on Trio's clock (K3, K6)."""

    __slots__ = ("deadline", "event")

    def __init__(self, event: Event, deadline: float) -> None:
        self.event = event
        self.deadline = deadline


Item = Message | Event | Cancel | Start


class Calls(Protocol):
    """Async function calls that end with the process (functions.md F13)."""

    async def finish(self) -> None:
        """Cancels them and returns when they have unwound; shields itself."""
        ...


class Process:
    """A process as the kernel sees it. User code sees `ProcessContext`."""

    __slots__ = (
        "_on_exit",
        "calls",
        "context",
        "deadline",
        "deadline_by",
        "drive",
        "entrance",
        "forced",
        "guardian",
        "host",
        "inherited",
        "mailbox",
        "node",
        "parent",
        "pid",
        "readiness",
        "reason",
        "since",
        "state",
        "target",
        "tasks",
        "timers",
        "trap_links",
        "upgradable",
        "upgrade",
    )

    mailbox: Mailbox  # what the code reads
    entrance: Mailbox | Entrance  # where things are put: the mailbox, or what stands before it
    drive: Drive

    def __init__(
        self, node: Node, host: Host, pid: Pid, target: Target, inherited: Inherited
    ) -> None:
        self.node = node
        self.host = host
        self.pid = pid
        self.target = target
        self.inherited = inherited
        self.state = State.READY
        self.trap_links = False
        self.upgradable = False  # asked to be told when newer code is there
        self.forced: Forced | None = None  # E40: once set, it decides the result
        self.deadline = inf  # the earliest cancel deadline ever asked for (K7), Trio's clock
        self.deadline_by: Pid | None = None
        self.reason: Cause | None = None  # for which it was asked to end, or has decided to
        self.upgrade: tuple[Any, tuple[Any, ...]] | None = None
        self.parent: Pid | None = None
        self.guardian: Process | None = None  # who stops it, in an order of its own
        self.context: ProcessContext | None = None
        self.readiness: Callable[[Any], None] | None = None
        self.since = 0.0  # start, on Trio's clock
        self.calls: Calls | None = None
        self.timers: Timers | None = None
        self.tasks: Tasks | None = None
        self._on_exit: dict[ExitWatcher, None] | None = None

    @property
    def id(self) -> str:
        """The registry id of the running code (P5); an upgrade changes it (U4)."""
        return self.target.id

    def step(self, step: Step) -> None:
        """One step of the life table."""
        try:
            self.state = LIFE[self.state, step]
        except KeyError:
            raise IllegalStep(self.state, step) from None

    @property
    def ended(self) -> bool:
        """True once V20 has begun."""
        return self.state is State.ENDED

    # -- what arrives

    def deliver(self, item: Item) -> None:
        """Takes what `Node.post` lets through; nothing is handled after the end."""
        if self.state is State.ENDED:
            return
        if item is START:
            self.drive.start()
        elif isinstance(item, Message):
            if self.entrance.put(item):
                item.at = self.node.stamp()
        elif isinstance(item, Event):
            if item.kind is EventKind.LINK_DOWN and not self.trap_links:  # K14, K16
                self.force(link_failed(item.sender))
            else:
                self.entrance.put_event(item)
        elif isinstance(item, Cancel):
            self.entrance.put_event(item.event)
            if self.reason is None:
                self.reason = Cause(CauseKind.ASKED, item.event.sender)
            self.limit(item.deadline, item.event.sender)

    def oldest_unread(self) -> float:
        """For how many seconds the oldest unread message has been waiting (PH8)."""
        message = self.mailbox.oldest()
        at = getattr(message, "at", None)
        return 0.0 if at is None else max(0.0, self.node.stamp() - at)

    def limit(self, deadline: float, by: Pid) -> None:
        """The earliest deadline wins (K7)."""
        if deadline < self.deadline:
            self.deadline = deadline
            self.deadline_by = by
            self.drive.limit(deadline)

    def force(self, forced: Forced) -> None:
        """Decides the end from outside; the first forced end wins (E40)."""
        if self.forced is None and self.state is not State.ENDED:
            if self.deadline <= self.node.now():  # it passed while the code was shielded
                forced = deadline_exceeded(self.deadline_by)
            self.forced = forced
            self.drive.interrupt()

    # -- who waits for the end

    def on_exit(self, watcher: ExitWatcher) -> None:
        """Calls `watcher(exit)` when the process ends, after EXIT and LINK_DOWN were sent."""
        if self._on_exit is None:
            self._on_exit = {}
        self._on_exit[watcher] = None

    def forget(self, watcher: ExitWatcher) -> None:
        """Takes back `on_exit`."""
        if self._on_exit is not None:
            self._on_exit.pop(watcher, None)

    def watchers(self) -> list[ExitWatcher]:
        """Those who wait for the end, longest waiting first."""
        return list(self._on_exit or ())

    def take_watchers(self) -> Sequence[ExitWatcher]:
        """Those to call now; there will be no others."""
        watchers, self._on_exit = self._on_exit, None
        return tuple(watchers) if watchers else ()

    def doing(self) -> str:
        """The state for people: `ready`, `idle`, `blocked`, `running`, `upgrading`, `ended`."""
        return self.drive.doing() if self.state is State.RUNNING else self.state.value
