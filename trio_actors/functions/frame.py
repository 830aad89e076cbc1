"""A frame: one running invocation, with the context that `current()` gives inside it.

Rules: GC11, P6, F11-F18, CX1-CX6, DE12. A frame is addressed like a process, but most invocations
never use their PID. So the kernel's record (PID, mailbox, place in the tables) is made the first
time something asks for it, and an invocation that does not ask costs neither. What cannot come
later is the cancel scope around the code: it is there before the code can suspend. Code of another
language may end before it does (`Callee.begin`), and then it costs no scope either.

The code runs in the caller's task, so every cancellation of the caller is one of the callee (F11).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Never

import trio

from trio_actors._core.code import Body, TaskBody
from trio_actors._core.context import ProcessContext
from trio_actors._core.current import running
from trio_actors._core.drive import MailboxOnly
from trio_actors._core.errors import (
    FATAL,
    ErrorKind,
    ProcessError,
    as_process_error,
    fresh,
    leaves,
    make_error,
)
from trio_actors._core.exit import Exit, cancelled_outside, deadline_exceeded
from trio_actors._core.inherited import Inherited
from trio_actors._core.lifecycle import Step
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.pid import NOBODY, Pid
from trio_actors._core.process import Process, make_process
from trio_actors.functions.children import Children

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors._core.node import Node
    from trio_actors._core.spawn import SpawnTarget
    from trio_actors.functions.callee import Callee
    from trio_actors.functions.pool import Pool

__all__ = ["FrameContext", "boundary_error", "outwards"]

logger = logging.getLogger("trio_actors.functions")

NO_BAGGAGE: Mapping[str, Any] = {}


class FrameDrive(MailboxOnly):
    """Stops the code of a frame: the kernel's Drive of a function call."""

    __slots__ = ("frame",)

    def __init__(self, frame: FrameContext) -> None:
        self.frame = frame

    def start(self) -> None:
        """The code runs already."""

    def interrupt(self) -> None:
        """A forced end: terminate, a failed link, a passed deadline."""
        self.frame.interrupt()

    def limit(self, deadline: float) -> None:
        """The frame's scope ends at the deadline (K6)."""
        if self.frame.cancel_scope is not None:
            self.frame.cancel_scope.deadline = deadline

    def doing(self) -> str:
        """Whoever asks is running, so the frame waits for something."""
        return "blocked"


class FrameTarget:
    """The definition of a frame as the kernel wants it: an id and nothing to spawn."""

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        self.id = id

    def prepare(self, host: Any, args: tuple[Any, ...]) -> Any:
        """A function is called, not spawned."""
        raise make_error(ErrorKind.INVALID, f"{self.id} is a function; call it")


class FrameContext(ProcessContext):
    """What `current()` gives inside a function: a ProcessContext of this invocation."""

    __slots__ = (
        "_body",
        "_children",
        "_ended",
        "_function_host",
        "_inherited",
        "_reserved",
        "baggage",
        "cancel_scope",
        "parent",
        "pool",
        "target",
    )

    def __init__(
        self,
        node: Node,
        target: FrameTarget,
        function_host: Host,
        pool: Pool,
        inherited: Inherited,
        parent: ProcessContext | None,
        baggage: Mapping[str, Any] = NO_BAGGAGE,
    ) -> None:
        # Deliberately not super().__init__: there is no process yet.
        self._process = self._inbox = None
        self._node = node
        self._hand = node.hand
        self._guarded = node.strict or (
            inherited.actor is not None and inherited.scope is not None
        )  # `inherited.guarded`, written out
        # Whoever sends has a PID, and a frame gets one when it is needed.
        self._direct = self._last_dest = NOBODY
        self._body: Body | None = None
        self._children: Children | None = None
        self._ended = False
        self._function_host = function_host
        # The PID, if it was given before there is a process (reserve).
        self._reserved: Pid | None = None
        self._inherited = inherited
        # Things that calls hand down besides context values: the queue message (CX2).
        self.baggage = baggage
        self.cancel_scope: trio.CancelScope | None = None
        # Who called: a frame, a process, or None for the root.
        self.parent = parent
        # Whose worker this frame holds (PL11).
        self.pool = pool
        self.target = target

    def __repr__(self) -> str:
        return f"<FrameContext of {self.target.id}>"

    # -- identity, without making a process of it

    @property
    def process(self) -> Process:
        """The kernel's record, made now if it was not there."""
        if self._process is None:
            if self._ended:
                raise make_error(ErrorKind.INVALID, "no process context")
            self._process = self._make_process()
            self.reroute()
        return self._process

    @property
    def owner(self) -> ProcessContext | None:
        """See `ProcessContext.owner`."""
        return None if self.parent is None else self.parent.owner

    @property
    def pid(self) -> Pid:
        """The PID of this invocation; each has its own (CX6)."""
        return self.process.pid

    @pid.setter
    def pid(self, value: Pid) -> Never:
        raise AttributeError("the PID of a frame is fixed")

    @property
    def id(self) -> str:
        """Registry id of the running function (CX6)."""
        return self.target.id

    @property
    def node(self) -> Node:
        """The node of the caller."""
        return self._node

    @property
    def context(self) -> Mapping[str, Any]:
        """Context values: the caller's with what the call laid over them (CX5), copied (CX9)."""
        return self._inherited.shown()

    @property
    def actor(self) -> Any:
        """The security actor, or None (CX3)."""
        return self._inherited.actor

    @property
    def scope(self) -> Any:
        """The security scope, or None (CX3)."""
        return self._inherited.scope

    @property
    def inherited(self) -> Inherited:
        """What calls and processes started here inherit."""
        return self._inherited

    @property
    def host(self) -> Host:
        """Where processes started here go by default: the host of the calling process."""
        caller = self.parent
        while isinstance(caller, FrameContext):
            caller = caller.parent
        return self._function_host if caller is None else caller.host

    def detach(self) -> None:
        """The frame has ended (PY14)."""
        self._ended = True
        super().detach()

    async def spawn(self, target: SpawnTarget, *args: Any, **options: Any) -> Pid:
        """As in a process; the default host is that of the calling process."""
        if options.get("host") is None:
            options["host"] = self._spawn_host()
        return await super().spawn(target, *args, **options)

    async def call(self, target: SpawnTarget, *args: Any, **options: Any) -> Any:
        """As in a process; the default host is that of the calling process."""
        if options.get("host") is None:
            options["host"] = self._spawn_host()
        return await super().call(target, *args, **options)

    def _spawn_host(self) -> Host:
        host = self.host
        if host is self._function_host:
            raise make_error(ErrorKind.INVALID, "a function called from outside must name a host")
        return host

    def start_task(self, function: Callable[..., Awaitable[object]], *args: Any) -> Never:
        """Only processes have tasks of their own. Raises: ProcessInvalid."""
        raise make_error(
            ErrorKind.INVALID,
            "a function has no tasks of its own: open a nursery in it, or spawn a process",
        )

    async def checkpoint(self) -> None:
        """A call has a task. Checkpoint: always."""
        await trio.lowlevel.checkpoint()

    async def upgrade(self, target: Any, *state: Any) -> Never:
        """Only processes upgrade (U7). Raises: ProcessInvalid; the call goes on."""
        await trio.lowlevel.checkpoint()
        raise make_error(ErrorKind.INVALID, "upgrade is only available in a process")

    # -- life

    @property
    def children(self) -> Children:
        """The async calls that end with this frame (F13)."""
        if self._children is None:
            self._children = Children()
            self._children.closed = self._ended  # a task that outlived the frame may ask
        return self._children

    def interrupt(self) -> None:
        """Ends the code from outside."""
        process = self._process
        if process is not None and isinstance(process.mailbox, PythonMailbox):
            process.mailbox.exhaust()
        if isinstance(self._body, TaskBody):
            self._body.interrupted()
        if self.cancel_scope is not None:
            forced = process.forced if process is not None else None
            self.cancel_scope.cancel(reason=forced.message if forced else "frame ended")

    def reserve(self) -> Pid:
        """The PID of this invocation, without a process that could be addressed by it yet."""
        if self._reserved is None:
            self._reserved = self._node.new_pid(self._function_host.id)
        return self._reserved

    def adopt(self, body: Body) -> None:
        """Another language runs this frame: its body reads the mailbox and is told of the end."""
        self._body = body
        self.process.mailbox = self.process.entrance = body.make_mailbox(self.process)

    def _make_process(self) -> Process:
        node, host = self._node, self._function_host
        process = make_process(
            node, host, self.reserve(), self.target, self._inherited, node.stamp()
        )
        process.mailbox = process.entrance = PythonMailbox(node.hand)
        process.drive = FrameDrive(self)
        process.view = self
        if isinstance(self.parent, ProcessContext):
            process.parent = None
        host.alive += 1
        node.processes[process.pid] = process
        process.step(Step.BEGIN)
        return process

    async def run(self, callee: Callee, payload: Any, args: tuple[Any, ...]) -> Any:
        """Runs the code to its value. Raises: a ProcessError, or what must go on (E38, F16)."""
        token = running.set(self)
        value: Any = None
        error: BaseException | None = None
        try:
            rest: Awaitable[Any] | None
            if callee.early:
                value, rest = callee.begin(self, payload, args)
            else:
                rest = callee.run(self, payload, args)
            if rest is None:
                pass
            elif callee.suspends:
                with trio.CancelScope() as self.cancel_scope:
                    if self._process is not None:
                        self._limit(self._process)
                    value = await rest
                # The value of a call that was cancelled meanwhile is discarded (F14).
                await trio.lowlevel.checkpoint_if_cancelled()
            else:
                value = await rest
        except BaseException as exc:  # noqa: ASYNC103  _settle says what goes on outwards
            error = exc
        finally:
            if self._children is not None:
                await self._children.finish()  # noqa: ASYNC102  shields itself (F13)
            running.reset(token)
        if error is None and self._process is None:
            self._ended = True
            return value
        if error is not None and outwards(error) is None:
            try:
                # Also what such a call raises on its way out (F14, F16).
                await trio.lowlevel.checkpoint_if_cancelled()
            except trio.Cancelled as cancelled:  # noqa: ASYNC103  _settle raises it
                error = cancelled
        try:
            return self._settle(value, error)
        finally:
            del error  # this frame is in its traceback: a cycle

    def _limit(self, process: Process) -> None:
        """A deadline or a forced end may have come before there was a scope to tell."""
        if self.cancel_scope is not None:
            self.cancel_scope.deadline = process.deadline
        if process.forced is not None:
            self.interrupt()

    def _settle(self, value: Any, error: BaseException | None) -> Any:
        """What the end of the code means for the caller (section 3.2), and for watchers."""
        process = self._process
        outside = None if error is None else outwards(error)
        failure: ProcessError | None = None
        forced = None if process is None else process.forced
        if process is not None and forced is None and process.deadline <= trio.current_time():
            forced = deadline_exceeded(process.deadline_by)
        if forced is not None:
            failure = forced.error
        elif outside is not None:
            failure = cancelled_outside().error
        elif error is not None:
            failure = boundary_error(error, self.target.id)
        if process is not None:
            cause = (forced.cause,) if forced is not None else ()
            end = Exit(value) if failure is None else Exit.failed(failure, *cause)
            self._node.end(process, end)
        self._ended = True
        if outside is not None:
            try:
                raise outside
            finally:
                del outside, error  # this frame is in their tracebacks: cycles
        if failure is not None:
            raise fresh(failure)
        return value


def outwards(error: BaseException) -> BaseException | None:
    """The part of an exception that a call must not turn into an error: E38 and Cancelled."""
    if isinstance(error, Exception) and not isinstance(error, (*FATAL, BaseExceptionGroup)):
        return None
    parts = leaves(error)
    fatal = [part for part in parts if isinstance(part, FATAL)]
    if fatal:
        return fatal[0] if len(fatal) == 1 else BaseExceptionGroup("fatal", fatal)
    cancelled = [part for part in parts if isinstance(part, trio.Cancelled)]
    if not cancelled:
        return None
    return cancelled[0] if len(cancelled) == 1 else BaseExceptionGroup("cancelled", cancelled)


def boundary_error(error: BaseException, id: str) -> ProcessError:
    """The error that crosses for an exception; the traceback goes to the log only (DE13, F6)."""
    first = leaves(error)[0]
    if not isinstance(first, ProcessError):
        logger.error("function %s failed: %s", id, first, exc_info=first, extra={"function": id})
    return fresh(as_process_error(error))
