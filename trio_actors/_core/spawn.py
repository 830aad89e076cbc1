"""Starting processes: everything is checked before anything is made (W7)."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.bounded import Bounded, limited
from trio_actors._core.code import ProcessFunction, Target, TargetMaker
from trio_actors._core.drive import ENDED
from trio_actors._core.errors import ErrorKind, fresh, make_error
from trio_actors._core.exit import Exit, terminated
from trio_actors._core.function import function_target
from trio_actors._core.host import Host
from trio_actors._core.inherited import NOTHING_INHERITED, Inherited
from trio_actors._core.lifecycle import END
from trio_actors._core.message import Message, copy_value, payload_of, vet_topic
from trio_actors._core.pid import Pid
from trio_actors._core.process import START, Process, make_process
from trio_actors._core.wake import Given

if TYPE_CHECKING:
    from trio_actors._core.node import Node

SpawnTarget = ProcessFunction | Target | TargetMaker | str


def find_target(node: Node, target: Any) -> Target:
    """The definition meant: of a coroutine function, a Server class, a registry id (W3)."""
    definition: Target
    if isinstance(target, type):
        server: Target | None = getattr(target, "_target", None)  # of a Server class
        if server is not None:
            return server
    maker = getattr(target, "__process_target__", None)
    if maker is not None:
        if getattr(maker, "__self__", None) is type(target):  # a class method
            name = type(target).__qualname__
            raise TypeError(f"spawn the class {name}, not an object of it; init gets the arguments")
        definition = maker()
        return definition
    if isinstance(target, str):
        found = node.find_code(target)
        if found is None:
            raise make_error(ErrorKind.NOT_FOUND, "factory not found", details={"id": target})
        return found
    if hasattr(target, "prepare"):
        definition = target
        return definition
    return function_target(target)


def find_host(node: Node, host: Host | str) -> Host:
    """The host meant (W3)."""
    if isinstance(host, Host):
        return host
    found = node.hosts.get(host)
    if found is None:
        if host in node.known_hosts:
            raise make_error(ErrorKind.UNAVAILABLE, "host is not running")
        raise make_error(ErrorKind.NOT_FOUND, "host not found", details={"host": host})
    return found


def launch(
    node: Node,
    target: SpawnTarget,
    args: tuple[Any, ...],
    host: Host | str,
    name: str | None = None,
    inherited: Inherited = NOTHING_INHERITED,
    messages: Sequence[tuple[Any, ...]] = (),
    mailbox: Bounded | None = None,
    parent: Process | None = None,
    monitor: bool = False,
    link: bool = False,
) -> Process:
    """Makes a process and lets its code begin soon; no checkpoint, no permission checks.

    Monitor, link, name and first messages are there before the first step of the code (E11, B5,
    B7); if anything is refused, nothing was made (B6).

    Raises:
        ProcessError: W3, W8, Z2, E6, B6, R9.
    """
    place = host if isinstance(host, Host) else find_host(node, host)
    if isinstance(target, FunctionType):
        definition: Target = function_target(target)
    else:
        definition = find_target(node, target)
    place.admit()
    if name is not None:
        node.names.check_free(name)
    queued = [_first_message(entry) for entry in messages] if messages else None
    if place.copy_messages:  # M26
        args = copy_value(args, "an argument")
    body = definition.prepare(place, args)
    pid = node.new_pid(place.id)
    process = make_process(node, place, pid, definition, inherited, node.stamp())
    process.mailbox = process.entrance = body.make_mailbox(process)
    if mailbox is not None:
        try:
            process.entrance = limited(process, mailbox)
        except Exception:
            process.mailbox.close()
            raise
    process.drive = body.attach(process)
    place.alive += 1
    node.processes[pid] = process
    try:
        if name is not None:
            node.names.register(name, pid)
        if parent is not None:
            process.parent = parent.pid
            if monitor:
                node.topology.monitor(parent.pid, pid)
            if link:
                node.topology.link(parent.pid, pid)
        if queued is not None:
            for message in queued:
                node.post(None, process, message)
        if node.gate is None:
            process.drive.start()
        else:
            node.post(process.parent, process, START)
    except BaseException:  # a message is refused; or Ctrl-C: else nobody would wait for its end
        _unmake(process)
        raise
    return process


def _unmake(process: Process) -> None:
    """Takes back what `launch` has made, before anybody could see it (B6)."""
    node = process.node
    process.step(END)
    del node.processes[process.pid]
    process.host.alive -= 1
    process.host.vacated()
    node.names.release(process.pid)
    node.topology.remove(process.pid)
    if process.view is not None:
        process.view.detach()
    process.mailbox.close()
    process.drive = process.mailbox = process.entrance = ENDED


def _first_message(entry: tuple[Any, ...]) -> Message:
    topic, *values = entry
    vet_topic(topic)
    return Message(topic, None, payload_of(tuple(values)))


async def spawn(
    node: Node,
    target: SpawnTarget,
    args: tuple[Any, ...],
    *,
    ready: bool = False,
    **options: Any,
) -> Pid:
    """`launch` as an operation that is always a checkpoint, with the readiness handshake (PY7)."""
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        process = launch(node, target, args, **options)
    except Exception:
        await trio.lowlevel.cancel_shielded_checkpoint()
        raise
    if ready:
        await _until_ready(node, process)
    else:
        await trio.lowlevel.cancel_shielded_checkpoint()
    return process.pid


async def _until_ready(node: Node, process: Process) -> None:
    is_ready = trio.Event()
    ends: list[Exit] = []

    def ended(exit: Exit) -> None:
        if not is_ready.is_set():
            ends.append(exit)
            is_ready.set()

    process.readiness = lambda value: is_ready.set()
    process.on_exit(ended)
    try:
        await is_ready.wait()
    except trio.Cancelled:
        process.force(terminated(node.control))
        if not process.ended:
            with trio.CancelScope(shield=True):
                await wait_for_end(process)
        raise
    finally:
        process.readiness = None
        process.forget(ended)
    if ends:
        error = ends[0].error
        if error is not None:
            raise fresh(error)
        text = f"process {process.pid} ended before it was ready"
        raise make_error(ErrorKind.UNAVAILABLE, text, retryable=None)


def vet_call(target: SpawnTarget, host: Host | str) -> None:
    """Refuses ids that can never be right (C4)."""
    if isinstance(target, str):
        if not target:
            raise make_error(ErrorKind.INVALID, "process ID required")
        if not all(target.partition(":")):
            text = "invalid process ID format (namespace:name required)"
            raise make_error(ErrorKind.INVALID, text)
    if host == "":
        raise make_error(ErrorKind.INVALID, "host ID required")


async def call(
    node: Node,
    target: SpawnTarget,
    args: tuple[Any, ...],
    *,
    host: Host | str,
    inherited: Inherited = NOTHING_INHERITED,
) -> Any:
    """Spawns, waits for the end, returns the value or raises the exit error (C1-C6).

    Checkpoint: always. A cancelled call leaves the process running (PY7).
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        vet_call(target, host)
        process = launch(node, target, args, host, None, inherited)
    except Exception:
        await trio.lowlevel.cancel_shielded_checkpoint()
        raise
    return (await wait_for_end(process)).unwrap()


def wait_for_end(process: Process) -> Awaitable[Exit]:
    """Awaits the exit of a process that is alive now. Checkpoint: always.

    Not `async` itself: one frame less for each who waits.
    """
    task = trio.lowlevel.current_task()

    def wake(exit: Exit) -> None:
        if task.custom_sleep_data is process:  # else another watcher has cancelled it
            trio.lowlevel.reschedule(task, Given(exit))

    def give_up(_: Any) -> trio.lowlevel.Abort:
        process.forget(wake)
        return trio.lowlevel.Abort.SUCCEEDED

    process.on_exit(wake)
    task.custom_sleep_data = process
    return trio.lowlevel.wait_task_rescheduled(give_up)  # noqa: ASYNC105  by the caller
