"""What scripts want from the kernel: the outbox of a turn, carried out on the Trio thread.

One small function per operation of the module `process`; each returns the values of the answer or
raises a ProcessError, which the script gets as nil, Error (Q10). Operations of other modules come
from the table in `modules`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lua_bridge import handles
from lua_bridge.codec import Flat, decode, encode, text_in, text_out
from lua_bridge.modules import MODULES, Values
from lua_bridge.process import Carried, LuaBody, LuaMailbox, LuaTarget
from trio_actors import (
    ErrorKind,
    Exit,
    Message,
    Pid,
    Process,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    as_process_error,
    make_error,
)
from trio_actors._core import operations as kernel
from trio_actors._core.current import running
from trio_actors._core.inherited import extend
from trio_actors._core.spawn import find_host, launch
from trio_actors.security import Actor, Scope

if TYPE_CHECKING:
    from lua_bridge.shard import Shard

MAX_NAME, MAX_NAMES = 255, 1000  # what one script may put into the node's registry
NO_ANSWER = object()  # of an operation whose answer comes later, or never
Operation = Callable[[LuaBody, int, tuple[Any, ...]], Any]


# ---------------------------------------------------------------- answers


def flat_answer(value: Any) -> Flat:
    """The values of an answer for `H.answer`: one scalar, nothing, or a flat list."""
    if isinstance(value, Values):
        return _as_list(tuple(value))
    flat = encode(value)
    return flat if flat[0] in ("v", "n") else _as_list((value,))


def _as_list(values: tuple[Any, ...]) -> Flat:
    return encode(list(values))


def flat_error(error: ProcessError) -> Flat:
    """kind, message, retryable and, if there are details, their flat form."""
    details: Flat = ()
    if error.details:
        try:
            details = encode(error.details)
        except ProcessError:
            details = ()
    return (str(error.kind), text_out(error.message), error.retryable, *details)


# ---------------------------------------------------------------- the outbox


def carry_out(shard: Shard, result: tuple[Any, ...]) -> None:
    """Carries out the outbox of one turn, in order: code, process, request, n, n arguments, ..."""
    at, end = 2, 2 + result[1]
    bodies = shard.bodies
    while at < end:
        code, idx, request, count = result[at : at + 4]
        at += 4
        args = result[at : at + count]
        at += count
        body = bodies.get(idx)
        if body is None:
            continue
        if not request and code == "send":
            _send_on(shard, body, args)
            continue
        try:
            operation = OPERATIONS.get(code)
            if operation is None:
                value = _module_operation(code[3:], body, request, args)
            else:
                value = operation(body, request, args)
        except ProcessError as error:
            if request:
                shard.refuse(request, error)
            continue
        except TypeError as error:
            if request:
                shard.refuse(request, ProcessInvalid(str(error), retryable=False))
            continue
        if request and value is not NO_ANSWER:
            shard.answer(request, value)


def _context(body: LuaBody) -> ProcessContext:
    process = body.process
    if process is None:
        raise make_error(ErrorKind.INVALID, "no process context")
    return process.context


def _process(body: LuaBody) -> Process:
    return _context(body).process


def _exit(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    body.finished(args)
    return NO_ANSWER


# ---------------------------------------------------------------- messages


def _deliver(process: Process, target: Process, topic: str, flat: Flat) -> None:
    """Flat into another Lua state, decoded into a Python mailbox."""
    mailbox = target.mailbox
    node = process.node
    if node.gate is None and type(mailbox) is LuaMailbox and target.entrance is mailbox:
        mailbox.put_flat(topic, process.pid, flat)
    else:
        carried = Carried(flat)
        payload = carried if isinstance(mailbox, LuaMailbox) else carried.value()
        node.post(process.pid, target, Message(topic, process.pid, payload))
    node.delivered += 1


KNOWN = 2  # answer of a send: alive, and its end will be told


def _send(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    dest, topic = text_in(args[0]), text_in(args[1])
    process = _process(body)
    node = process.node
    target = node.processes.get(dest)
    direct = target is not None and not (process.inherited.guarded or node.strict)
    if target is None or not direct:
        target = _find(process, dest)
    _deliver(process, target, topic, args[2:])
    if direct and node.gate is None and target.entrance is target.mailbox:
        return KNOWN if body.shard.watch(target) else True
    return True  # each send is looked at: a limit may refuse it


def _send_on(shard: Shard, body: LuaBody, args: tuple[Any, ...]) -> None:
    """A send to a process that was alive a moment ago; one that has ended gets nothing."""
    process = body.process
    assert process is not None
    node = process.node
    target = node.processes.get(args[0])
    if target is None:
        return
    topic, mailbox = args[1], target.mailbox
    if not topic.isascii():
        topic = text_in(topic)
    if node.gate is not None or target.entrance is not mailbox:  # a trace, since it is known
        _deliver(process, target, topic, args[2:])
        return
    node.delivered += 1
    if type(mailbox) is LuaMailbox:
        mailbox.put_flat(topic, process.pid, args[2:])
    else:
        message = Message(topic, process.pid, decode(args[2], args[3:], cycles=True))
        if mailbox.put(message):
            message.at = node.stamp()


def _find(process: Process, dest: str) -> Process:
    node = process.node
    pid = kernel.resolve(node, dest)
    kernel.require(node, process, "process.send", pid, dest)
    return kernel.alive(node, pid)


def _check_send(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    dest = text_in(args[0])
    pid = kernel.resolve(process.node, dest)
    kernel.require(process.node, process, "process.send", pid, dest)
    return True


# ---------------------------------------------------------------- spawn, call, upgrade


def _arguments(process: Process, id: str, flat: Flat) -> tuple[Any, tuple[Any, ...]]:
    """The definition meant and its arguments in the form that suits it."""
    target = process.node.resolve_target(id)
    carried = Carried(flat)
    if isinstance(target, LuaTarget):
        return target, (carried,)
    return target, tuple(carried.value())


class _Parts:
    """Reads the arguments of a spawn: scalars, and flat parts preceded by their length."""

    def __init__(self, args: tuple[Any, ...], at: int) -> None:
        self.args = args
        self.at = at

    def scalar(self) -> Any:
        self.at += 1
        return self.args[self.at - 1]

    def flat(self) -> Flat:
        size = self.scalar() + 1
        self.at += size
        return self.args[self.at - size : self.at]

    def value(self) -> Any:
        flat = self.flat()
        return decode(flat[0], flat[1:])


def _spawn(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    id, host = text_in(args[0]), text_in(args[1])
    monitor, link, name, actor, scope = args[2:7]
    parts = _Parts(args, 7)
    flat = parts.flat()
    values = parts.value()
    messages = [(text_in(parts.scalar()), parts.flat()) for _ in range(parts.scalar())]
    kernel.require_spawn(process.node, process, id, host, monitor=monitor, link=link)
    find_host(process.node, host)  # W3: the host is looked up before the entry
    target, arguments = _arguments(process, id, flat)
    lua = isinstance(target, LuaTarget)
    inherited = process.inherited
    if values or actor is not None or scope is not None:
        inherited = extend(
            inherited,
            values=values or None,
            actor=None if actor is None else handles.find(process, actor, Actor),
            scope=None if scope is None else handles.find(process, scope, Scope),
        )
    child = launch(
        process.node,
        target,
        arguments,
        host=host,
        parent=process,
        monitor=monitor,
        link=link,
        name=text_in(name),
        inherited=inherited,
        messages=[
            (topic, Carried(flat) if lua else Carried(flat).value()) for topic, flat in messages
        ],
    )
    return child.pid


def _call(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    node = process.node
    id, host = text_in(args[0]), text_in(args[1])
    kernel.require(node, process, "process.call", id, id)
    kernel.require(node, process, "process.host", host, host)
    find_host(node, host)
    target, arguments = _arguments(process, id, args[2:])
    child = launch(node, target, arguments, host=host, inherited=process.inherited)
    shard = body.shard

    def ended(exit: Exit) -> None:
        if body.over:
            return
        try:
            if exit.error is None and isinstance(exit.value, Carried):
                shard.push(shard.state.answer_value, (request, *exit.value.flat))
            else:
                shard.answer(request, exit.unwrap())
        except ProcessError as error:
            shard.refuse(request, error)

    child.on_exit(ended)
    return NO_ANSWER


def _upgrade(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    id = text_in(args[0])
    target: Any = process.target
    if id is not None:
        target = process.node.find_code(id) or id
    carried = Carried(args[1:])
    state = (carried,) if isinstance(target, LuaTarget) else tuple(carried.value())
    process.upgrade = (target, state)
    process.drive.interrupt()
    return NO_ANSWER


# ---------------------------------------------------------------- control, names


def _terminate(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    kernel.terminate(process.node, process, text_in(args[0]))
    return NO_ANSWER if body.over else True


def _cancel(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    deadline = text_in(args[1])
    if isinstance(deadline, int):
        deadline /= 1000  # K2: an integer counts milliseconds
    kernel.cancel(process.node, process, text_in(args[0]), deadline)
    return True


def _control(function: Callable[[Any, Process, str], None]) -> Operation:
    def operation(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
        process = _process(body)
        function(process.node, process, text_in(args[0]))
        return True

    return operation


def _permitted(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    kernel.require(process.node, process, args[0], args[1], args[1])
    return True


def _trap_links(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    _process(body).trap_links = args[0]
    return True


def _upgradable(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    _process(body).upgradable = args[0]
    return True


def _register(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process, name = _process(body), text_in(args[0])
    if len(name) > MAX_NAME:
        raise make_error(ErrorKind.INVALID, f"name is longer than {MAX_NAME} characters")
    if process.node.names.count(process.pid) >= MAX_NAMES:
        raise make_error(ErrorKind.RATE_LIMITED, f"process has {MAX_NAMES} names already")
    kernel.register(process.node, process, name, text_in(args[1]))
    return True


def _lookup(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    return _process(body).node.lookup(text_in(args[0]))


def _unregister(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    process = _process(body)
    return kernel.unregister(process.node, process, text_in(args[0]))


def _release(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    if body.process is not None:
        handles.release(body.process, args[0])
    return NO_ANSWER


def _started(body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    _context(body).started()
    return True


# ---------------------------------------------------------------- operations of modules


@functools.cache
def _find_operation(name: str) -> tuple[Callable[..., Any], bool]:
    module, _, operation = name.partition(".")
    function = MODULES[module].operations[operation]
    return function, inspect.iscoroutinefunction(function)


def _module_operation(name: str, body: LuaBody, request: int, args: tuple[Any, ...]) -> Any:
    function, waits = _find_operation(name)
    values = decode(args[0], args[1:])
    context = _context(body)
    if not waits:
        token = running.set(context)
        try:
            return function(context, *values)
        finally:
            running.reset(token)

    async def work() -> None:
        shard = body.shard
        running.set(context)
        try:
            value = await function(context, *values)
        except Exception as error:  # E30; a cancellation goes on
            shard.refuse(request, as_process_error(error))
        else:
            shard.answer(request, value)

    body.start_work(work)
    return NO_ANSWER


OPERATIONS: dict[str, Operation] = {
    "exit": _exit,
    "send": _send,
    "check_send": _check_send,
    "spawn": _spawn,
    "call": _call,
    "upgrade": _upgrade,
    "terminate": _terminate,
    "cancel": _cancel,
    "monitor": _control(kernel.monitor),
    "unmonitor": _control(kernel.unmonitor),
    "link": _control(kernel.link),
    "unlink": _control(kernel.unlink),
    "permitted": _permitted,
    "trap_links": _trap_links,
    "upgradable": _upgradable,
    "register": _register,
    "lookup": _lookup,
    "unregister": _unregister,
    "started": _started,
    "release": _release,
}

__all__ = ["NO_ANSWER", "Pid", "carry_out", "flat_answer", "flat_error"]
