"""One picture of a running system, as plain data: what ``ps``, ``top`` and web pages show.

Rules: SU14 (children without a process are listed), SU41 (tree with states, restarts, uptimes,
mailbox depths), SU42 (recent exits with their cause chains), PL19 (pools). Nothing here awaits or
changes anything.

Thousands of processes take a tenth of a second, in which nothing else runs. So a picture can be
taken piece by piece (`Taking`): whoever takes it lets others run between the pieces. Its rows are
then some milliseconds apart: a process that has ended since its place was found shows as `ended`,
one that has begun since is not in it.

The tree is a list of rows in the order in which it is drawn, each with its depth and the key of the
row above it. A nested form would be as deep as the longest chain of processes that started each
other, which no reader of JSON has to survive.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from attrs import define, fields, frozen

from supervision import administration
from supervision.control import running
from supervision.runner import Runner
from supervision.service_machine import ServiceState
from supervision.services import ServiceManager, ServiceStatus
from supervision.state import ChildRecord
from supervision.terms import ChildType
from supervision.tree import explain
from trio_actors import Node, Pid, Process, ProcessNotFound

Data = dict[str, Any]
VERSION: Final = 1  # of the form of the data
EXITS: Final = 20  # how many are shown by default

BETWEEN: Final = 64  # processes that are looked at between two places for a pause

SERVICE: Final = "service"
PROCESS: Final = "process"  # no supervisor and no service keeps it alive


@define  # not frozen: one per process, and a frozen one costs three times as much
class Row:
    """One process, or a service or child that has none at the moment.

    Units: ``mailbox`` in unread messages and events; ``unread`` (for how long the oldest message
    has not been read; 0 in Lua, whose mailboxes keep no times) and ``uptime`` in seconds.
    """

    key: str  # unique in its snapshot, the same as long as it is the same service, child or process
    parent: str | None  # the key of the row above it: its supervisor, or who started it
    depth: int
    pid: str | None
    name: str  # of a service its id, of a child its id in the supervisor, else a registered name
    entry: str  # the id of its code
    kind: str  # service, supervisor, worker or process
    state: str
    restarts: int
    mailbox: int
    unread: float
    uptime: float
    host: str
    names: tuple[str, ...]
    note: str  # why a service is in its state, or what it waits for
    below: int  # how many stand directly below it, shown or not


@frozen
class ExitRow:
    """One end that the node remembers; ``ago`` in seconds, ``chain`` as ``explain`` tells it."""

    pid: str
    entry: str
    ago: float
    how: str
    error: str
    chain: tuple[str, ...]


@frozen
class PoolRow:
    """The workers of one function (PL19)."""

    function: str
    type: str
    workers: int
    busy: int
    queued: int
    completed: int
    failed: int


@frozen
class Snapshot:
    """All that there is to see of a node at one moment.

    Order: ``rows`` as a tree is drawn, services first, then others oldest first; ``exits`` newest
    first; ``pools`` by function. Units: ``at`` in seconds since 1970.
    """

    node: str
    at: float
    processes: int
    delivered: int  # messages since the node was opened; two snapshots give a rate
    ended: int  # processes since the node was opened
    dead_letters: int
    rows: tuple[Row, ...]
    exits: tuple[ExitRow, ...]
    pools: tuple[PoolRow, ...]

    def as_data(self) -> Data:
        """The same as dicts, lists, texts and numbers, with ``version`` of this form."""
        data: Data = {"version": VERSION, **next(_as_data([self], Snapshot))}
        data["rows"] = list(_as_data(self.rows, Row))
        data["exits"] = list(_as_data(self.exits, ExitRow))
        data["pools"] = list(_as_data(self.pools, PoolRow))
        return data


class Taking:
    """A picture that is taken piece by piece; it is complete when the sections are used up.

    Every piece of a section is a row as a dict, or None: no row yet, but a place for a pause.
    """

    def __init__(
        self,
        node: Node,
        services: ServiceManager | None = None,
        *,
        exits: int = EXITS,
        limit: int | None = None,
    ) -> None:
        self.head: Data = {
            "node": node.name,
            "at": node.wall_time(),
            "processes": len(node.processes),
            "delivered": node.count_delivered(),
            "ended": node.exits.total,
            "dead_letters": node.dead_letters.count,
        }
        self.rows = _Rows(node, services, limit).build()
        self.exits = _exits(node, exits)
        self.pools = _pools(node)

    def sections(self) -> Iterator[tuple[str, Iterator[Data | None]]]:
        """The lists of `Snapshot.as_data()`, in their order, piece by piece."""
        yield "rows", self.rows
        yield "exits", _as_data(self.exits, ExitRow)
        yield "pools", _as_data(self.pools, PoolRow)

    def complete(self) -> Snapshot:
        """All of it now."""
        return Snapshot(
            rows=tuple(Row(**row) for row in self.rows if row is not None),
            exits=tuple(self.exits),
            pools=tuple(self.pools),
            **self.head,
        )


def _as_data(rows: Iterable[Any], kind: type) -> Iterator[Data]:
    names = [field.name for field in fields(kind)]  # asdict() takes three times as long
    for row in rows:
        yield {name: getattr(row, name) for name in names}


def snapshot(
    node: Node,
    services: ServiceManager | None = None,
    *,
    exits: int = EXITS,
    limit: int | None = None,
) -> Snapshot:
    """A picture of all processes, services, children, pools, and of the last ``exits`` ends.

    Args:
        limit: so many rows directly below one row, and so many at the top beside the services; the
            others are only counted (``Row.below``, ``Snapshot.processes``). With it the cost of
            thousands of children is small.
    """
    return Taking(node, services, exits=exits, limit=limit).complete()


def doing(process: Process) -> str:
    """The state of a process for people; of a supervisor its phase, as it always waits."""
    runner = running(process)
    return process.doing() if runner is None else str(runner.state.phase)


def _exits(node: Node, count: int) -> Iterator[ExitRow]:
    now = node.now()
    for record in node.exits.latest(max(0, count)):
        first, *causes = explain(node, record.pid).chain
        chain = (str(first), *(f"because {cause}" for cause in causes))
        yield ExitRow(record.pid, record.id, now - record.at, first.how, first.error, chain)


def _pools(node: Node) -> Iterator[PoolRow]:
    functions = node.functions
    for id in () if functions is None else functions.ids():
        with suppress(ProcessNotFound):  # a process that is called as a function has no pool
            one = functions.statistics(id)
            counts = (one.workers, one.busy, one.queued, one.completed, one.failed)
            yield PoolRow(id, one.type, *counts)


class _Rows:
    """Finds who stands below whom, then draws from the top without recursion.

    Its rows are dicts, which become `Row` objects where somebody wants those: for thousands of
    processes that somebody watches, the dicts are all that is needed.
    """

    def __init__(self, node: Node, services: ServiceManager | None, limit: int | None) -> None:
        self.node = node
        self.limit = limit
        self.now, self.stamp = node.now(), node.stamp()
        statuses = services.statuses() if services is not None else []
        self.statuses = {status.id: status for status in statuses}
        self.service_of = {status.pid: status.id for status in statuses if status.pid}
        # Of each process: what stands directly below it, as processes or as children without one.
        self.below: dict[str, list[Process | ChildRecord]] = {}
        self.record_of: dict[str, ChildRecord] = {}
        self.runners: dict[str, Runner] = {}
        self.roots: list[Process] = []

    def _sort(self) -> Iterator[None]:
        processes = self.node.processes
        there = list(processes.values())  # others may come and go between two pieces
        for count, process in enumerate(there):
            if not count % BETWEEN:
                yield None
            runner = running(process)
            if runner is None:
                continue
            self.runners[process.pid] = runner
            below = self.below.setdefault(process.pid, [])
            for record in runner.state.children.values():
                child = runner.processes.get(record.key)
                if child is None or child.pid not in processes:
                    below.append(record)
                else:
                    self.record_of[child.pid] = record
                    below.append(child)
        for count, process in enumerate(there):
            if not count % BETWEEN:
                yield None
            if process.pid in self.record_of or process.pid in self.service_of:
                continue
            if process.pid not in processes:  # it has ended since
                continue
            parent = process.parent
            if parent is not None and parent in processes:
                self.below.setdefault(parent, []).append(process)
            else:
                self.roots.append(process)

    def build(self) -> Iterator[Data | None]:
        """The rows in the order in which they are drawn; before them, places for a pause."""
        yield from self._sort()
        for status in self.statuses.values():
            process = self.node.processes.get(Pid(status.pid)) if status.pid else None
            yield self._service(status, process)
            if process is not None:
                yield from self._under(process, f"service {status.id}")
        for process in self.roots[: self.limit]:
            yield self._process(process, None, 0)
            yield from self._under(process, process.pid)

    def _under(self, top: Process, key: str) -> Iterator[Data]:
        todo = [(one, key, 1) for one in reversed(self.below.get(top.pid, ())[: self.limit])]
        while todo:
            one, parent, depth = todo.pop()
            if isinstance(one, ChildRecord):
                yield self._waiting(one, parent, depth)
                continue
            row = self._process(one, parent, depth)
            yield row
            below = self.below.get(one.pid)
            if below:
                todo += [(one, row["key"], depth + 1) for one in reversed(below[: self.limit])]

    def _service(self, status: ServiceStatus, process: Process | None) -> Data:
        held = status.waits_for or status.reason
        state = str(status.state).lower()
        if process is not None and status.state is ServiceState.RUNNING:
            state = doing(process)
        return {
            "key": f"service {status.id}",
            "parent": None,
            "depth": 0,
            "pid": process.pid if process else None,
            "name": status.id,
            "entry": process.id if process else "",
            "kind": SERVICE,
            "state": state,
            "restarts": max(0, status.runs - 1),
            "mailbox": process.mailbox.depth() if process else 0,
            "unread": process.oldest_unread() if process else 0.0,
            "uptime": self.stamp - process.since if process else 0.0,
            "host": process.host.id if process else "",
            "names": tuple(self.node.names.names_of(process.pid)) if process else (),
            "note": held,
            "below": len(self.below.get(process.pid, ())) if process else 0,
        }

    def _process(self, process: Process, parent: str | None, depth: int) -> Data:
        pid = process.pid
        names = tuple(self.node.names.names_of(pid))
        runner = self.runners.get(pid)
        record = self.record_of.get(pid)
        if record is not None:
            key, name = f"{parent}/{record.key}", record.spec.id
            kind, restarts = str(record.spec.type), record.restarts
        else:
            key, name, restarts = pid, names[0] if names else "", 0
            kind = PROCESS if runner is None else str(ChildType.SUPERVISOR)
        return {
            "key": key,
            "parent": parent,
            "depth": depth,
            "pid": pid,
            "name": name,
            "entry": process.id,
            "kind": kind,
            "state": process.doing() if runner is None else str(runner.state.phase),
            "restarts": restarts,
            "mailbox": process.mailbox.depth(),
            "unread": process.oldest_unread(),
            "uptime": self.stamp - process.since,
            "host": process.host.id,
            "names": names,
            "note": "",
            "below": len(self.below.get(pid, ())),
        }

    def _waiting(self, record: ChildRecord, parent: str, depth: int) -> Data:
        target = record.spec.target
        info = administration.info(record, self.now)
        return {
            "key": f"{parent}/{record.key}",
            "parent": parent,
            "depth": depth,
            "pid": None,
            "name": info.id,
            "entry": target if isinstance(target, str) else "",
            "kind": str(info.type),
            "state": info.state,
            "restarts": info.restarts,
            "mailbox": 0,
            "unread": 0.0,
            "uptime": 0.0,
            "host": "",
            "names": (),
            "note": "",
            "below": 0,
        }
