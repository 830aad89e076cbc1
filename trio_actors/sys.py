"""Looking inside a running system: state, suspend and resume, trees, and why something ended."""

from __future__ import annotations

import faulthandler
import signal
import sys as python_sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

import attrs
import trio

from trio_actors._core import operations
from trio_actors._core.bounded import Entrance, Limited
from trio_actors._core.dormant import awake
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.exit import OF_CHILDREN, CauseKind
from trio_actors._core.exits import ExitRecord
from trio_actors._core.message import Event, Message
from trio_actors._core.node import Node
from trio_actors._core.node_tools import NodeStatistics
from trio_actors._core.places import Places
from trio_actors._core.process import Process
from trio_actors._core.serving import Serving

PATIENCE = 1.0  # seconds that a signal may wait for Trio before the stacks are shown


@attrs.frozen(slots=True)
class ProcessView:
    """One process at one moment.

    Units: `mailbox` in unread messages and events; `uptime` and `oldest_unread` in seconds, the
    latter 0 if no message is unread.
    """

    pid: str
    id: str
    host: str
    state: str
    names: tuple[str, ...]
    parent: str | None
    links: tuple[str, ...]
    monitored_by: tuple[str, ...]
    mailbox: int
    uptime: float
    oldest_unread: float = 0.0


def view(node: Node, dest: str) -> ProcessView:
    """What is known of a live process."""
    process = _process(node, dest)
    return _view(process)


def _view(process: Process) -> ProcessView:
    node = process.node
    node.touch("process", process.pid)
    return ProcessView(
        process.pid,
        process.id,
        process.host.id,
        process.doing(),
        tuple(node.names.names_of(process.pid)),
        process.parent,
        tuple(node.topology.links_of(process.pid)),
        tuple(node.topology.watchers_of(process.pid)),
        process.mailbox.depth(),
        node.stamp() - process.since,
        process.oldest_unread(),
    )


def processes(node: Node) -> list[ProcessView]:
    """All live processes, oldest first."""
    return [_view(process) for process in node.processes.values()]


def _process(node: Node, dest: str) -> Process:
    return operations.alive(node, operations.resolve(node, dest))


def _server(node: Node, dest: str) -> Serving:
    process = _process(node, dest)
    node.touch("process", process.pid, write=True)
    mailbox = awake(process)
    if not isinstance(mailbox, Serving):
        raise make_error(ErrorKind.INVALID, f"{dest} is not a Server")
    return mailbox


def get_state(node: Node, dest: str) -> dict[str, Any]:
    """The attributes of a running server, without what the framework put there."""
    server = _server(node, dest).server
    state = vars(server) if server is not None else {}  # None: not made before its first code
    return {k: v for k, v in state.items() if k not in ("ctx", "_serving")}


def suspend(node: Node, dest: str) -> None:
    """Lets a server handle nothing until `resume`; forced ends still take effect."""
    _server(node, dest).suspend()


def resume(node: Node, dest: str) -> None:
    """Lets a suspended server go on."""
    server = _server(node, dest)
    server.suspended = False
    server.resume()


def statistics(node: Node) -> NodeStatistics:
    """What a node holds and has done: hosts, processes, messages, dead letters, ages (PH8)."""
    return node.statistics()


def explain(node: Node, dest: str) -> list[ExitRecord]:
    """Why a process ended: its exit, then the exit that caused it, to the root (SU42)."""
    return node.exits.chain(dest)


def explain_text(node: Node, dest: str) -> str:
    """`explain` for people, one line per step."""
    chain = explain(node, dest)
    if not chain:
        alive = dest in node.processes
        return f"{dest} is alive" if alive else f"{dest}: nothing is remembered of it"
    lines = []
    for depth, record in enumerate(chain):
        cause = record.exit.cause
        told = cause.kind is CauseKind.LINK or cause.kind in OF_CHILDREN  # by the next line
        by = f" by {cause.by}" if cause.by and not told else ""
        what = record.exit.error.message if record.exit.error else f"value {record.exit.value!r}"
        prefix = "because " if depth else ""
        lines.append(
            f"{'  ' * depth}{prefix}{record.pid} ({record.id}) ended: {what}"
            f" [{cause.kind.value}{by}]"
        )
    return "\n".join(lines)


@attrs.frozen(slots=True)
class Branch:
    """A process and those that it started and that are alive."""

    view: ProcessView
    children: tuple[Branch, ...]


def tree(node: Node) -> list[Branch]:
    """Who started whom, oldest first; processes whose parent is gone stand at the top."""
    children: dict[str | None, list[Process]] = {}
    for process in node.processes.values():
        parent = process.parent if process.parent in node.processes else None
        children.setdefault(parent, []).append(process)

    def branch(process: Process) -> Branch:
        return Branch(_view(process), tuple(branch(c) for c in children.get(process.pid, ())))

    return [branch(process) for process in children.get(None, ())]


@contextmanager
def trace(node: Node, dest: str, sink: Callable[[Message | Event], None]) -> Iterator[None]:
    """Calls `sink` with everything that reaches a process while the block runs.

    Order: as it arrives. Also what a full mailbox then refuses. What scripts of one Lua state send
    each other stays in that state, and is not seen.
    """
    process = _process(node, dest)
    node.touch("process", process.pid, write=True)
    awake(process)
    tap = _Tap(process, sink)
    process.entrance = tap
    try:
        yield
    finally:
        node.touch("process", process.pid, write=True)
        if not process.ended:
            process.entrance = tap.inner


class _Tap(Entrance):
    """Stands before a mailbox, or a limit before it, and shows what passes."""

    def __init__(self, process: Process, sink: Callable[[Message | Event], None]) -> None:
        self._process = process
        self.inner = process.entrance
        self._sink = sink

    def put(self, message: Message) -> object:
        """Shows it and lets it pass."""
        self._sink(message)
        return self.inner.put(message)

    def put_event(self, event: Event) -> None:
        """Shows it and lets it pass."""
        self._sink(event)
        self.inner.put_event(event)

    @property
    def limit(self) -> Limited | None:
        """The one that stands behind it."""
        return self.inner.limit if isinstance(self.inner, Entrance) else None

    def moved(self) -> bool:
        """It stays before the new mailbox."""
        if not (isinstance(self.inner, Entrance) and self.inner.moved()):
            self.inner = self._process.mailbox
        return True


def waits_for(process: Process) -> str:
    """The line of the process's own code that waits now, or what it does in a word."""
    return next(iter(Places().of(process)), process.doing())


def _age(view: ProcessView) -> str:
    return f", the oldest for {view.oldest_unread:.1f} s" if view.oldest_unread else ""


def _idle(process: Process) -> str:
    """What a process waits for that has no code of its own which waits."""
    known = {"idle": "for messages", "suspended": "to be resumed"}
    return known.get(process.doing(), "for its turn")


def dump(node: Node) -> str:
    """The process tree as text: uptimes, mailbox depths and ages, what each process waits for."""
    lines = [f"node {node.name}: {len(node.processes)} processes"]
    places = Places()

    def show(branch: Branch, depth: int) -> None:
        view = branch.view
        process = node.processes[view.pid]
        names = f" [{', '.join(view.names)}]" if view.names else ""
        first, *others = places.of(process) or [""]
        waits = f"at {first}" if first else _idle(process)
        lines.append(
            f"{'  ' * depth}{view.pid}{names} {view.id}: {view.state}, up {view.uptime:.1f} s,"
            f" {view.mailbox} unread{_age(view)}; waits {waits}"
        )
        lines.extend(f"{'  ' * depth}  and at {other}" for other in others)
        for child in branch.children:
            show(child, depth + 1)

    for branch in tree(node):
        show(branch, 1)
    return "\n".join(lines)


async def dump_on_signal(
    node: Node,
    *,
    signum: int | None = None,
    file: TextIO | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Writes `dump(node)` whenever the program gets a signal (default SIGUSR1); runs for ever.

    If Trio does not come to the signal within a second, some code never awaits: then the stacks of
    all threads are written. Start it in a nursery of the main thread; `trio-actors run` does.
    """
    wanted = signum if signum is not None else getattr(signal, "SIGUSR1", None)
    if wanted is None:
        raise make_error(ErrorKind.UNAVAILABLE, "this platform has no SIGUSR1")
    with trio.open_signal_receiver(wanted) as arrived, _watching(wanted, file) as answered:
        task_status.started()
        async for _ in arrived:
            answered()
            print(dump(node), file=file or python_sys.stderr, flush=True)


@contextmanager
def _watching(signum: int, file: TextIO | None) -> Iterator[Callable[[], None]]:
    """Stacks for each signal that is not answered in time; the watch needs no Python to run."""
    deliver = signal.getsignal(signum)
    assert callable(deliver)
    stream = file or python_sys.stderr
    armed = False

    def noticed(number: int, frame: FrameType | None) -> None:
        nonlocal armed
        deliver(number, frame)
        with suppress(OSError):  # no file of the operating system
            faulthandler.dump_traceback_later(PATIENCE, file=stream)
            armed = True

    def answered() -> None:
        nonlocal armed
        if armed:
            armed = False
            faulthandler.cancel_dump_traceback_later()

    signal.signal(signum, noticed)  # the receiver puts back what was there before it
    try:
        yield answered
    finally:
        answered()
