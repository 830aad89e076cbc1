"""A Lua process towards the kernel: its target, its body and its mailbox (§10.3 of the bridge).

The theory: the script is stepped by the host's runner (runner.py), together with all others of its
state; drive.py says what its end means. A function's invocation has the same body, but its end is
awaited by the task that called it (`LuaBody.run`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import outcome
import trio
from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

from lua_bridge.codec import Flat, decode, encode, is_plain, text_in, text_out
from lua_bridge.drive import LuaDrive
from lua_bridge.limits import DEFAULT_LIMITS, Limits
from lua_bridge.script import Script
from lua_bridge.state import error_of
from trio_actors import (
    Drive,
    Event,
    EventKind,
    Host,
    Message,
    Pid,
    ProcessContext,
    ProcessError,
    Result,
    Shutdown,
    TaskBody,
)
from trio_actors._core.exit import Foreign
from trio_actors._core.lifecycle import UPGRADING
from trio_actors._core.mailbox import Untyped
from trio_actors._core.message import since

if TYPE_CHECKING:
    from lua_bridge.shard import Shard
    from trio_actors import Process

logger = logging.getLogger("trio_actors.lua")

Work = Callable[[], Any]
NO_ARGUMENTS: Flat = ()
SHUTDOWN = "@shutdown"  # among the details of an error: it is supervision.shutdown


class Carried(Foreign):
    """Arguments, a payload or a result on the way from one Lua state to another: flat."""

    __slots__ = ("flat",)

    def __init__(self, flat: Flat) -> None:
        self.flat = flat

    def value(self) -> Any:
        """For a receiver in Python. Raises: ProcessInvalid for what cannot cross."""
        return decode(self.flat[0], self.flat[1:], cycles=True)


@attrs.frozen(eq=False)
class LuaTarget:
    """A `process.lua` entry that processes can be started from (E1).

    Attributes:
        script: the chunk.
        method: the function of its table that is called, if it returns a table.
        limits: what one process may use.
    """

    script: Script
    method: str = "main"
    limits: Limits = DEFAULT_LIMITS

    @property
    def id(self) -> str:
        """Registry id."""
        return self.script.id

    def carry(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Copies of tables; what never changes stays (GC5, F4). Raises: ProcessInvalid."""
        if all(is_plain(arg) for arg in args):
            return args
        shape, *values = encode(list(args))
        return tuple(decode(shape, tuple(values), cycles=True))

    def prepare(self, host: Host, args: tuple[Any, ...]) -> LuaBody:
        """Runs the chunk in a state of this host (E5). Raises: ProcessError (E6, M24, M27)."""
        flat = NO_ARGUMENTS
        if args:
            carried = len(args) == 1 and type(args[0]) is Carried
            flat = args[0].flat if carried else encode(list(args))
        runner = host.extensions.get("lua")
        if runner is None:
            runner = _start_runner(host)
        shard = runner.place(self.limits)
        return LuaBody(shard, shard.prepare(self, flat), self)


def _start_runner(host: Host) -> Any:
    from lua_bridge.runner import runner_of

    return runner_of(host)


class LuaBody(TaskBody):
    """One Lua process: index `idx` of a shard, its owner task and what that task is to do."""

    __slots__ = (
        "drive",
        "end",
        "idx",
        "mailbox",
        "over",
        "process",
        "shard",
        "target",
        "task",
        "work",
    )

    def __init__(self, shard: Shard, idx: int, target: LuaTarget) -> None:
        self.shard = shard
        self.idx = idx
        self.target = target
        self.process: Process | None = None
        self.drive: LuaDrive | None = None  # None: run() is awaited, by a function's caller
        self.mailbox: LuaMailbox | None = None
        self.task: trio.lowlevel.Task | None = None  # the owner, while it sleeps
        self.work: deque[Work] | None = None  # operations that wait to be started
        self.end: outcome.Outcome[Any] | None = None
        self.over = False
        shard.bodies[idx] = self

    def make_mailbox(self, process: Process) -> LuaMailbox:
        """Leads into the Lua state."""
        self.process = process
        self.mailbox = LuaMailbox(self)
        return self.mailbox

    def begin(self, process: Process) -> None:
        """The first step may come."""
        node = process.node
        direct = not process.inherited.guarded and not node.strict and node.gate is None
        self.shard.enter(self, process, direct)

    def attach(self, process: Process) -> Drive:
        """Stepped by the host's runner."""
        return LuaDrive(process, self)

    async def run(self, ctx: ProcessContext) -> Any:
        """Another task owns the script: it sleeps until the end and returns or raises its exit."""
        self.begin(ctx.process)
        try:
            await self._wake_up()
            if self.end is None:
                await self._serve()
        finally:
            self.stop()
        assert self.end is not None
        return self.end.unwrap()

    async def _serve(self) -> None:
        """The script uses operations that wait: they run in a nursery of this task."""
        async with trio.open_nursery() as nursery:
            while self.end is None:
                work = self.work
                while work:
                    nursery.start_soon(work.popleft())
                await self._wake_up()
            nursery.cancel_scope.cancel()

    async def _wake_up(self) -> None:
        if self.end is not None or self.work:
            await trio.lowlevel.checkpoint()
            return
        self.task = current_task()

        def abort(_: Any) -> Abort:
            self.task = None
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)

    def _wake_owner(self) -> None:
        task, self.task = self.task, None
        if task is not None:
            reschedule(task)

    def start_work(self, work: Work) -> None:
        """Runs an async operation, in a task that ends with the process."""
        if self.drive is not None:
            self.drive.process.context.start_task(work)
            return
        if self.work is None:
            self.work = deque()
        self.work.append(work)
        self._wake_owner()

    def finished(self, args: tuple[Any, ...]) -> None:
        """The script has ended: `ok, shape, values...` or `not ok, kind, message, ...`."""
        self.end = self._exit(args)
        self.over = True
        self.shard.forget(self)
        self._tell()

    def failed(self, error: ProcessError) -> None:
        """The script cannot go on for a reason outside of it."""
        if not self.over:
            self.stop()
            self.end = outcome.Error(error)
            self._tell()

    def _tell(self) -> None:
        if self.drive is not None:
            self.drive.conclude()
        else:
            self._wake_owner()

    def _exit(self, args: tuple[Any, ...]) -> outcome.Outcome[Any]:
        if args[0]:
            if args[1] == "n":
                return outcome.Value(None)
            try:
                return outcome.Value(decode(args[1], args[2:], cycles=self.drive is not None))
            except ProcessError as refusal:
                if self.drive is None:  # a function's result
                    return outcome.Error(refusal)
                return outcome.Value(Carried(args[1:]))  # for scripts it is a value (M21)
        error = error_of(args[1:])
        details = error.details or {}
        if self.drive is not None and SHUTDOWN in details:  # see supervision.lua
            return outcome.Error(Shutdown(str(details[SHUTDOWN])))
        if error.stack is not None and self.process is not None:
            logger.error(
                "process %s (%s) failed: %s",
                self.process.pid,
                self.target.id,
                error.stack,
                extra={"pid": self.process.pid, "entry": self.target.id},
            )
        return outcome.Error(error)

    def interrupted(self) -> None:
        """A forced end or an upgrade was decided: no line of the script runs any more (T6)."""
        process, mailbox = self.process, self.mailbox
        if process is not None and process.forced is None and mailbox is not None:
            mailbox.save()
        self.stop()

    def stop(self) -> None:
        """The script is dropped where it is; repeatable."""
        if not self.over:
            self.over = True
            self.shard.kill(self)


class LuaMailbox(Untyped):
    """Forwards what arrives into the process's Lua state, which sorts it (L1-L17)."""

    __slots__ = ("body", "saved")
    route = None

    def __init__(self, body: LuaBody) -> None:
        self.body = body
        self.saved: list[Message | Event] = []

    def put(self, message: Message) -> None:
        """Takes a message. Raises: ProcessInvalid for a payload that cannot cross (M27)."""
        payload = message.payload
        try:
            flat = payload.flat if type(payload) is Carried else encode(payload)
        except ProcessError as error:
            error.undelivered = message
            raise
        self.put_flat(message.topic, message.sender, flat)
        process = self.body.process
        if process is not None and process.state is UPGRADING:  # it was unread in the code before
            at = since(message)
            if at is not None:
                shard = self.body.shard
                shard.push(shard.state.age, (self.body.idx, int(at * 1e9)))

    def put_flat(self, topic: str, sender: Pid | None, flat: Flat) -> None:
        """Takes a message whose payload is flat already."""
        body = self.body
        if not body.over:
            shard = body.shard
            if not topic.isascii():
                topic = text_out(topic)  # type: ignore[assignment]  # bytes are text in Lua
            shard.push(shard.state.deliver, (body.idx, topic, sender, *flat))
        elif (process := self._upgrading()) is not None:
            message = Message(topic, sender, _value_of(flat))
            message.at = process.node.stamp()
            self.saved.append(message)

    def put_event(self, event: Event) -> None:
        """Takes a control event."""
        body = self.body
        if not body.over:
            shard = body.shard
            shard.push(shard.state.event, (body.idx, *flat_event(event)))
        elif self._upgrading() is not None:
            self.saved.append(event)

    def _upgrading(self) -> Process | None:
        """The process, if its script was stopped for an upgrade and operations still unwind."""
        process = self.body.process
        return process if process is not None and process.upgrade is not None else None

    def save(self) -> None:
        """Takes everything unread out of the Lua state, for an upgrade (U3)."""
        body = self.body
        if not body.over:
            self.saved += body.shard.drain(body)

    def drain(self) -> list[Message | Event]:
        """Everything unread, in arrival order."""
        self.save()
        unread, self.saved = self.saved, []
        return unread

    def depth(self) -> int:
        """How many messages and events are unread."""
        return len(self.saved) if self.body.over else self.body.shard.depth(self.body)

    def unread_since(self) -> float | None:
        """Since when the oldest unread message waits."""
        if not self.body.over:
            return self.body.shard.unread_since(self.body)
        return since(next((item for item in self.saved if isinstance(item, Message)), None))

    def close(self) -> None:
        """The process has ended."""
        self.body.stop()


def flat_event(event: Event) -> tuple[Any, ...]:
    """kind, sender, at, deadline, and the result: true or false and a flat value, or nothing."""
    head = (event.kind.value, event.sender, event.at, event.deadline)
    result = event.result
    if result is None:
        return (*head, None)
    if result.error is not None:
        return (*head, False, *encode(result.error))
    if isinstance(result.value, Carried):
        return (*head, True, *result.value.flat)
    try:
        return (*head, True, *encode(result.value))
    except ProcessError as error:  # the value cannot cross (M27)
        return (*head, False, *encode(error))


def seconds_of(number: int) -> float:
    """The time of `Node.stamp` in an arrival number of core/mailbox.lua: right to a microsecond."""
    return round(number / 1e9, 6)


def unread_of(is_event: bool, *parts: Any) -> Message | Event:
    """A message or an event from what core/mailbox.lua `drained` gave."""
    if not is_event:
        at, topic, sender, *flat = parts
        message = Message(text_in(topic), sender, _value_of(tuple(flat)))
        message.at = seconds_of(at)
        return message
    kind, sender, at, *rest = parts
    deadline, ok, *flat = (*rest, None, None)[: max(2, len(rest))]
    result = None
    if ok is not None:
        result = Result(_value_of(tuple(flat))) if ok else Result(None, _error_of(tuple(flat)))
    return Event(EventKind(kind), sender, at, deadline=deadline, result=result)


def _value_of(flat: Flat) -> Any:
    """In Python, if it can be there; else as it came from Lua, for Lua (M21)."""
    try:
        return decode(flat[0], flat[1:], cycles=True)
    except ProcessError:
        return Carried(flat)


def _error_of(flat: Flat) -> ProcessError:
    try:
        error: ProcessError = decode(flat[0], flat[1:])
    except ProcessError as refused:  # its details cannot cross
        return refused
    return error
