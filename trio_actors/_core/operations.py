"""What a process (or the program outside, `caller=None`) can do to another one, each thing once.

The order of checks is that of M16: arguments, resolution, permission, then whether it is alive.
Both languages and the node itself come through here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from trio_actors._core.duration import duration_seconds
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors._core.exit import terminated
from trio_actors._core.inherited import DENIALS, permitted
from trio_actors._core.message import Message, vet_topic
from trio_actors._core.names import vet_name
from trio_actors._core.pid import Pid, is_pid, place_of

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process


def resolve(node: Node, dest: str) -> Pid:
    """The PID meant by a PID or a registered name, as of this moment (M4, R8)."""
    if dest in node.processes:
        return Pid(dest)
    if not isinstance(dest, str):
        raise TypeError(f"destination must be a PID or a name, not {type(dest).__name__}")
    if is_pid(dest):
        return Pid(dest)
    pid = node.names.by_name.get(dest)
    if pid is None:
        text = f"could not resolve '{dest}' as PID or registered name"
        raise make_error(ErrorKind.NOT_FOUND, text)
    return pid


def alive(node: Node, pid: Pid, missing: str = "process not found") -> Process:
    """The process of a PID, or NOT_FOUND with the text `missing` (M5), or M6."""
    process = node.processes.get(pid)
    if process is not None:
        return process
    name, host = place_of(pid)
    if (name or "local") != node.name or host not in node.known_hosts:
        missing = "host not found" if missing == "process not found" else missing
    raise make_error(ErrorKind.NOT_FOUND, missing)


def require(node: Node, caller: Process | None, action: str, resource: str, shown: str) -> None:
    """Refuses what the caller's policies do not allow (A4); code outside processes may (A10)."""
    if caller is not None and not permitted(
        node.guard, node.strict, caller.inherited, caller.pid, action, resource
    ):
        raise make_error(ErrorKind.PERMISSION_DENIED, DENIALS[action].format(shown))


def require_spawn(
    node: Node, caller: Process | None, id: str, host: str, *, monitor: bool, link: bool
) -> None:
    """All permissions of a spawn form, in the order of the table (A2, A3)."""
    require(node, caller, "process.spawn", id, id)
    if monitor:
        require(node, caller, "process.spawn.monitored", id, id)
    if link:
        require(node, caller, "process.spawn.linked", id, id)
    require(node, caller, "process.host", host, host)


def send(node: Node, caller: Process | None, dest: str, topic: str, payload: Any) -> None:
    """Puts one message into the mailbox of `dest` (§2.1); never waits.

    Raises:
        ProcessError: M3-M8; `undelivered` holds the message.
    """
    vet_topic(topic)
    sender = None if caller is None else caller.pid
    message = Message(topic, sender, payload)
    try:
        pid = resolve(node, dest)
        if caller is not None:
            require(node, caller, "process.send", pid, dest)
        node.post(sender, alive(node, pid), message)
    except ProcessError as error:
        error.undelivered = message
        raise
    node.delivered += 1


def taken(send: Callable[..., None], *args: Any) -> bool:
    """Sends one of many; False if the receiver takes nothing now, which is passed over."""
    try:
        send(*args)
    except ProcessError as error:
        if error.kind is not ErrorKind.UNAVAILABLE:
            raise
        return False
    return True


def terminate(node: Node, caller: Process | None, dest: str) -> None:
    """Forced end (T1-T4)."""
    pid = resolve(node, dest)
    require(node, caller, "process.terminate", pid, dest)
    alive(node, pid).force(terminated(caller.pid if caller else node.control))


def cancel(
    node: Node, caller: Process | None, dest: str, deadline: float | str | None = None
) -> None:
    """Asks for an end; with a deadline (seconds from now, or text) it is enforced (K1-K7)."""
    seconds = inf if deadline is None else duration_seconds(deadline)
    pid = resolve(node, dest)
    require(node, caller, "process.cancel", pid, dest)
    sender = caller.pid if caller else node.control
    node.request_cancel(alive(node, pid), sender, node.now() + seconds)


def monitor(node: Node, caller: Process, dest: str) -> None:
    """One EXIT will come when `dest` ends (N1-N3, N5)."""
    pid = resolve(node, dest)
    require(node, caller, "process.monitor", pid, dest)
    alive(node, pid, "pid not registered")
    if not node.topology.monitor(caller.pid, pid) and pid != caller.pid:
        raise make_error(ErrorKind.ALREADY_EXISTS, "already monitoring pid")


def unmonitor(node: Node, caller: Process, dest: str) -> None:
    """No EXIT will come unless it was queued already (N4)."""
    pid = resolve(node, dest)
    require(node, caller, "process.unmonitor", pid, dest)
    node.topology.unmonitor(caller.pid, pid)


def link(node: Node, caller: Process, dest: str) -> None:
    """Ties caller and `dest` together (K10)."""
    pid = resolve(node, dest)
    require(node, caller, "process.link", pid, dest)
    alive(node, pid, "pid not registered")
    node.topology.link(caller.pid, pid)


def unlink(node: Node, caller: Process, dest: str) -> None:
    """Unties both directions (K11)."""
    pid = resolve(node, dest)
    require(node, caller, "process.unlink", pid, dest)
    node.topology.unlink(caller.pid, pid)


def register(node: Node, caller: Process | None, name: str, pid: str | None = None) -> None:
    """Gives a name to a live process of this node, by default the caller (R1-R4, R9)."""
    vet_name(name)
    if pid is None:
        if caller is None:
            raise make_error(ErrorKind.INVALID, "register needs a pid outside a process")
        pid = caller.pid
    elif not isinstance(pid, str):
        raise TypeError(f"pid must be a str, not {type(pid).__name__}")
    elif not is_pid(pid):
        raise make_error(ErrorKind.INVALID, f"not a PID: {pid}")
    require(node, caller, "process.registry.register", name, name)
    process = alive(node, Pid(pid))
    node.names.register(name, process.pid)


def unregister(node: Node, caller: Process | None, name: str) -> bool:
    """Takes a name away; False if nobody held it. Another's needs an explicit allow (R6, R9)."""
    vet_name(name)
    require(node, caller, "process.registry.unregister", name, name)
    holder = node.names.by_name.get(name)
    if holder is None:
        return False
    if caller is not None and holder != caller.pid and not caller.inherited.guarded:
        text = DENIALS["process.registry.unregister"].format(name)
        raise make_error(ErrorKind.PERMISSION_DENIED, text)
    return node.names.unregister(name)


def rfc3339(unix: float) -> str:
    """A wall-clock time as text, in UTC with microseconds (K3)."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
