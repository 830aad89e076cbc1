"""The record of one process: its identity, its mailbox, and the one decision about its end.

What is here does not know how the code is run; see `code.Drive`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from trio.lowlevel import enable_ki_protection

from trio_actors._core.context import ProcessContext, make_context
from trio_actors._core.exit import Cause, CauseKind, Exit, Forced, LinkFailed, deadline_exceeded
from trio_actors._core.inherited import Inherited
from trio_actors._core.lifecycle import AFTER, ENDED, READY, RUNNING, IllegalStep, State, Step
from trio_actors._core.mailbox import Mailbox
from trio_actors._core.message import Event, EventKind, Message
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors._core.bounded import Entrance
    from trio_actors._core.code import Target
    from trio_actors._core.drive import Drive
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


ValueT = TypeVar("ValueT")


class Rare(Generic[ValueT]):
    """An attribute that few processes ever set: it is kept in a dictionary that is made then."""

    __slots__ = ("_default", "_name")

    def __init__(self, default: ValueT) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, process: Process | None, owner: type) -> ValueT:
        if process is None or process.rare is None:
            return self._default
        value: ValueT = process.rare.get(self._name, self._default)
        return value

    def __set__(self, process: Process, value: ValueT) -> None:
        if process.rare is None:
            process.rare = {}
        process.rare[self._name] = value


class Process:
    """A process as the kernel sees it; made by `make_process`. User code sees `ProcessContext`."""

    __slots__ = (
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
        "rare",
        "since",
        "state",
        "target",
        "trap_links",
        "upgrade",
        "view",
        "waiting",
    )

    node: Node
    host: Host
    pid: Pid
    target: Target
    inherited: Inherited
    state: State
    trap_links: bool
    forced: Forced | None  # E40: once set, it decides the result
    upgrade: tuple[Any, tuple[Any, ...]] | None
    parent: Pid | None
    guardian: Process | None  # who stops it, in an order of its own
    since: float  # start, by `Node.stamp` or its hand
    view: ProcessContext | None  # the context, if it was made
    waiting: dict[ExitWatcher, None] | None  # for the end, longest first
    rare: dict[str, Any] | None  # see Rare
    mailbox: Mailbox  # what the code reads
    entrance: Mailbox | Entrance  # where things are put: the mailbox, or what stands before it
    drive: Drive

    # The earliest cancel deadline ever asked for (K7), on Trio's clock, and by whom.
    deadline: Rare[float] = Rare(inf)
    deadline_by: Rare[Pid | None] = Rare(None)
    readiness: Rare[Callable[[Any], None] | None] = Rare(None)
    reason: Rare[Cause | None] = Rare(None)  # for which it was asked to end, or has decided to
    upgradable: Rare[bool] = Rare(False)  # asked to be told when newer code is there
    calls: Rare[Calls | None] = Rare(None)
    timers: Rare[Timers | None] = Rare(None)
    tasks: Rare[Tasks | None] = Rare(None)

    @property
    def context(self) -> ProcessContext:
        """What the code sees; made when it is asked for: servers that wait do without."""
        view = self.view
        if view is None:
            view = self.view = make_context(self)
            if self.state is ENDED:
                view.detach()
        return view

    @property
    def id(self) -> str:
        """The registry id of the running code (P5); an upgrade changes it (U4)."""
        return self.target.id

    def step(self, step: Step) -> None:
        """One step of the life table."""
        try:
            self.state = AFTER[step][self.state]
        except KeyError:
            raise IllegalStep(self.state, step) from None

    @property
    def ended(self) -> bool:
        """True once V20 has begun."""
        return self.state is ENDED

    # -- what arrives

    def deliver(self, item: Item) -> None:
        """Takes what `Node.post` lets through; nothing is handled after the end."""
        if self.state is ENDED:
            return
        if item is START:
            self.drive.start()
        elif isinstance(item, Message):
            if self.entrance.put(item):
                item.at = self.node.stamp()
        elif isinstance(item, Event):
            if item.kind is EventKind.LINK_DOWN and not self.trap_links:  # K14, K16
                self.force(LinkFailed(item.sender))
            else:
                self.entrance.put_event(item)
        elif isinstance(item, Cancel):
            self.entrance.put_event(item.event)
            if self.reason is None:
                self.reason = Cause(CauseKind.ASKED, item.event.sender)
            self.limit(item.deadline, item.event.sender)

    def oldest_unread(self) -> float:
        """For how many seconds the oldest unread message has been waiting (PH8)."""
        at = self.mailbox.unread_since()
        return 0.0 if at is None else max(0.0, self.node.stamp() - at)

    def limit(self, deadline: float, by: Pid) -> None:
        """The earliest deadline wins (K7)."""
        if deadline != inf and self.node.gate is not None:
            self.node.touch("process", self.pid, write=True)
        if deadline < self.deadline:
            self.deadline = deadline
            self.deadline_by = by
            self.drive.limit(deadline)

    @enable_ki_protection
    def force(self, forced: Forced) -> None:
        """Decides the end from outside; the first forced end wins (E40)."""
        if self.node.gate is not None:  # one call less in a cascade of ends
            self.node.touch("process", self.pid, write=True)
        if self.forced is None and self.state is not ENDED:
            if (
                self.rare is not None and self.deadline <= self.node.now()
            ):  # it passed while the code was shielded
                forced = deadline_exceeded(self.deadline_by)
            self.forced = forced
            try:
                self.drive.interrupt()
            except BaseException:  # Ctrl-C: whoever stops the host has to decide again
                self.forced = None
                raise

    # -- who waits for the end

    def on_exit(self, watcher: ExitWatcher) -> None:
        """Calls `watcher(exit)` when the process ends, after EXIT and LINK_DOWN were sent."""
        if self.waiting is None:
            self.waiting = {}
        self.waiting[watcher] = None
        if self.node.gate is not None:
            self.node.gate.waits(self, watcher)

    def forget(self, watcher: ExitWatcher) -> None:
        """Takes back `on_exit`."""
        if self.waiting is not None:
            self.waiting.pop(watcher, None)
        if self.node.gate is not None:
            self.node.gate.forgets(self, watcher)

    def watchers(self) -> list[ExitWatcher]:
        """Those who wait for the end, longest waiting first."""
        return list(self.waiting or ())

    def take_watchers(self) -> Sequence[ExitWatcher]:
        """Those to call now; there will be no others."""
        watchers, self.waiting = self.waiting, None
        return tuple(watchers) if watchers else ()

    def doing(self) -> str:
        """The state for people: `ready`, `idle`, `blocked`, `running`, `upgrading`, `ended`."""
        return self.drive.doing() if self.state is RUNNING else self.state.value


def make_process(
    node: Node, host: Host, pid: Pid, target: Target, inherited: Inherited, since: float
) -> Process:
    """A process that is ready; who makes it gives it a mailbox and a drive.

    A function instead of `__init__`, because calling a class takes a third longer.
    """
    process = Process()
    process.node = node
    process.host = host
    process.pid = pid
    process.target = target
    process.inherited = inherited
    process.state = READY
    process.trap_links = False
    process.since = since
    process.forced = process.upgrade = process.parent = process.guardian = None
    process.view = process.waiting = process.rare = None
    return process
