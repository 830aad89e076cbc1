"""Looking inside a running system: state, suspend and resume, trees, and why something ended."""

from __future__ import annotations

from typing import Any

import attrs

from trio_actors._core import operations
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.exit import CauseKind
from trio_actors._core.exits import ExitRecord
from trio_actors._core.node import Node
from trio_actors._core.process import Process
from trio_actors._core.serving import Serving


@attrs.frozen(slots=True)
class ProcessView:
    """One process at one moment; `uptime` in seconds, `mailbox` in unread messages and events."""

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


def view(node: Node, dest: str) -> ProcessView:
    """What is known of a live process."""
    process = _process(node, dest)
    return _view(process)


def _view(process: Process) -> ProcessView:
    node = process.node
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
        node.now() - process.since,
    )


def processes(node: Node) -> list[ProcessView]:
    """All live processes, oldest first."""
    return [_view(process) for process in node.processes.values()]


def _process(node: Node, dest: str) -> Process:
    return operations.alive(node, operations.resolve(node, dest))


def _server(node: Node, dest: str) -> Serving:
    mailbox = _process(node, dest).mailbox
    if not isinstance(mailbox, Serving):
        raise make_error(ErrorKind.INVALID, f"{dest} is not a Server")
    return mailbox


def get_state(node: Node, dest: str) -> dict[str, Any]:
    """The attributes of a running server, without what the framework put there."""
    server = _server(node, dest).server
    return {k: v for k, v in vars(server).items() if k not in ("ctx", "_serving")}


def suspend(node: Node, dest: str) -> None:
    """Lets a server handle nothing until `resume`; forced ends still take effect."""
    _server(node, dest).suspended = True


def resume(node: Node, dest: str) -> None:
    """Lets a suspended server go on."""
    _server(node, dest).resume()


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
        by = f" by {cause.by}" if cause.by and cause.kind is not CauseKind.LINK else ""
        what = record.exit.error.message if record.exit.error else f"value {record.exit.value!r}"
        prefix = "because " if depth else ""
        lines.append(
            f"{'  ' * depth}{prefix}{record.pid} ({record.id}) ended: {what}"
            f" [{cause.kind.value}{by}]"
        )
    return "\n".join(lines)
