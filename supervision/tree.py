"""Looking at a running system: trees, process lists, and why something ended.

Rules: SU41 (snapshots), SU42 (cause chains). Nothing here awaits or changes anything.
"""

from typing import Final

from attrs import frozen

from supervision import administration
from supervision.control import runner_of, running
from trio_actors import CauseKind, ErrorKind, Node, Pid, Process, format_duration, make_error
from trio_actors._core.exit import OF_CHILDREN
from trio_actors._core.operations import alive, resolve

# The end of `cause.by` may have been the reason:
LEADS_ON: Final = OF_CHILDREN | {CauseKind.LINK, CauseKind.TERMINATED, CauseKind.DEADLINE}


@frozen
class TreeNode:
    """One process of a running tree.

    Units: ``uptime`` in seconds, ``mailbox`` in unread messages and events.
    """

    id: str  # in its supervisor; of the root the id of its code
    pid: str | None
    state: str
    type: str
    restarts: int
    uptime: float
    mailbox: int
    children: tuple["TreeNode", ...] = ()


@frozen
class ProcessRow:
    """One process as ``ps`` and ``top`` list it.

    Units: ``uptime`` in seconds.
    """

    pid: str
    id: str
    names: tuple[str, ...]
    host: str
    state: str
    mailbox: int
    uptime: float
    restarts: int
    supervisor: str | None  # its PID


@frozen
class Why:
    """One link of a cause chain: who ended, how, and who brought it about."""

    pid: str
    id: str
    at: float  # seconds of Trio's clock
    how: str  # the text of a CauseKind
    by: str | None
    error: str  # empty for a normal end

    def __str__(self) -> str:
        by = f" by {self.by}" if self.by else ""
        error = f": {self.error}" if self.error and self.error != self.how else ""
        return f"{self.pid} ({self.id}) ended at {self.at:.3f}, {self.how}{by}{error}"


@frozen
class Explanation:
    """Why a process ended: its own end first, then what caused it, to the root (SU42)."""

    chain: tuple[Why, ...]

    def __str__(self) -> str:
        first, *causes = self.chain
        return "\n".join([str(first), *(f"  because {cause}" for cause in causes)])


def tree(node: Node, dest: str) -> TreeNode:
    """A snapshot of a supervisor and all below it (SU41).

    Raises: ProcessNotFound, ProcessInvalid if it is no supervisor.
    """
    process = alive(node, resolve(node, dest))
    if runner_of(process) is None:
        raise make_error(ErrorKind.INVALID, f"{dest} is not a supervisor")
    uptime = node.stamp() - process.since
    return _tree_node(node, process, process.id, process.doing(), "supervisor", 0, uptime)


def _tree_node(
    node: Node,
    process: Process | None,
    id: str,
    state: str,
    type: str,
    restarts: int,
    uptime: float,
) -> TreeNode:
    runner = None if process is None else runner_of(process)
    children = []
    for info in administration.which_children(runner.state, node.now()) if runner else ():
        child = node.processes.get(Pid(info.pid)) if info.pid else None
        one = _tree_node(
            node, child, info.id, info.state, str(info.type), info.restarts, info.uptime
        )
        children.append(one)
    return TreeNode(
        id=id,
        pid=process.pid if process else None,
        state=state,
        type=type,
        restarts=restarts,
        uptime=uptime,
        mailbox=process.mailbox.depth() if process else 0,
        children=tuple(children),
    )


def format_tree(root: TreeNode) -> str:
    """A snapshot as text, one line per process."""
    lines = [_line(root)]
    _below(root, "", lines)
    return "\n".join(lines)


def _below(parent: TreeNode, indent: str, lines: list[str]) -> None:
    for number, child in enumerate(parent.children, 1):
        last = number == len(parent.children)
        lines.append(f"{indent}{'└─ ' if last else '├─ '}{_line(child)}")
        _below(child, indent + ("   " if last else "│  "), lines)


def _line(one: TreeNode) -> str:
    up = f", up {format_duration(round(one.uptime * 1000) * 1_000_000)}" if one.pid else ""
    restarts = f", restarts {one.restarts}" if one.restarts else ""
    mailbox = f", mailbox {one.mailbox}" if one.mailbox else ""
    return f"{one.id}  {one.pid or '-'}  {one.state}{up}{restarts}{mailbox}"


def ps(node: Node) -> list[ProcessRow]:
    """All processes of a node, oldest first."""
    now, restarts = node.stamp(), _restarts(node)
    return [
        ProcessRow(
            pid=process.pid,
            id=process.id,
            names=tuple(node.names.names_of(process.pid)),
            host=process.host.id,
            state=process.doing(),
            mailbox=process.mailbox.depth(),
            uptime=now - process.since,
            restarts=restarts.get(process.pid, 0),
            supervisor=process.guardian.pid if process.guardian else None,
        )
        for process in node.processes.values()
    ]


def top(node: Node, *, by: str = "mailbox", count: int = 20) -> list[ProcessRow]:
    """The processes with the most of ``mailbox``, ``restarts`` or ``uptime``, most first."""
    if by not in ("mailbox", "restarts", "uptime"):
        raise make_error(ErrorKind.INVALID, f"top: mailbox, restarts or uptime, not {by!r}")
    return sorted(ps(node), key=lambda row: -float(getattr(row, by)))[:count]


def _restarts(node: Node) -> dict[str, int]:
    found: dict[str, int] = {}
    for process in node.processes.values():
        runner = running(process)
        if runner is not None:
            found |= {r.pid: r.restarts for r in runner.state.children.values() if r.pid}
    return found


def explain(node: Node, pid: str) -> Explanation:
    """Why a process ended, as data and (``str``) as text, as far as the node remembers.

    Raises: ProcessNotFound, also for a process that is alive.
    """
    chain: list[Why] = []
    seen: set[str] = set()
    wanted: str | None = pid
    while wanted is not None and wanted not in seen:
        seen.add(wanted)
        record = node.exits.get(wanted)
        if record is None:
            break
        cause, error = record.exit.cause, record.exit.error
        by = None if cause.kind in OF_CHILDREN else cause.by
        how = "shutdown" if record.exit.shutdown else str(cause.kind)
        chain.append(Why(wanted, record.id, record.at, how, by, str(error or "")))
        wanted = cause.because or (cause.by if cause.kind in LEADS_ON else None)
    if not chain:
        raise make_error(ErrorKind.NOT_FOUND, f"no end of {pid} is remembered")
    return Explanation(tuple(chain))
