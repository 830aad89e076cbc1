"""`ProcessContext`: what a process sees of the world (processes.md §15)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Never

import trio

from trio_actors._core import operations
from trio_actors._core.ask import Ask, ReplyT, ask, topic_of
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.inherited import NOTHING_INHERITED, Inherited
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.message import VETTED, Message, Sent
from trio_actors._core.options import Options
from trio_actors._core.pace import Hand
from trio_actors._core.pid import NOBODY, Pid, is_pid
from trio_actors._core.reader import let_others_run
from trio_actors._core.starts import Starts
from trio_actors._core.subscription import Subscription
from trio_actors._core.tools import ProcessTools

if TYPE_CHECKING:
    from trio_actors._core.code import Target
    from trio_actors._core.host import Host
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process
    from trio_actors._core.spawn import SpawnTarget


class ProcessContext(Starts, ProcessTools):
    """The one object a process gets; after its end every method raises ProcessInvalid (PY14).

    Sync methods take effect before they return and are never checkpoints; async methods always
    are (PY1), save that receiving from a full channel is one at least every 32 messages or 1 ms.
    """

    __slots__ = (
        "_direct",
        "_guarded",
        "_hand",
        "_inbox",
        "_last",
        "_last_dest",
        "_last_topic",
        "_node",
        "_process",
        "pid",
    )

    pid: Pid  # never changes (P5)
    _process: Process | None
    _inbox: Subscription | None  # once somebody has asked for it
    _node: Node
    _guarded: bool
    _direct: Mapping[str, Any]  # the processes that can be reached
    _hand: Hand  # the node's; to go by way of the node would be 3 ns more for each message
    _last: Process | None  # to which it has sent
    _last_dest: Any  # by this PID; NOBODY: to look for it again
    _last_topic: str

    def __repr__(self) -> str:
        return f"<ProcessContext {self.pid}>"

    # -- identity

    @property
    def process(self) -> Process:
        """The kernel's record; for code that extends the framework."""
        if self._process is None:
            raise make_error(ErrorKind.INVALID, "no process context")
        return self._process

    @property
    def owner(self) -> ProcessContext | None:
        """The process whose task runs this code; a function call is its caller's. None: nobody's.

        Looking changes nothing: a call that has no record of its own does not get one.
        """
        return self

    def reroute(self) -> None:
        """Decides which receivers `send` reaches directly: all, unless each send is judged."""
        self._direct = NOBODY if self._guarded else self._node.direct
        self._last_dest = NOBODY

    def detach(self) -> None:
        """Called by the kernel when the process has ended (PY14)."""
        self._process = self._inbox = self._last = None
        self._direct = self._last_dest = NOBODY

    @property
    def id(self) -> str:
        """Registry id of the running code (P5)."""
        return self.process.id

    @property
    def node(self) -> Node:
        """The node this process lives on."""
        return self.process.node

    @property
    def host(self) -> Host:
        """The host this process runs on."""
        return self.process.host

    @property
    def context(self) -> Mapping[str, Any]:
        """Inherited context values, read-only; lists and mappings are copies (W5, CX9)."""
        return self.process.inherited.shown()

    @property
    def actor(self) -> Any:
        """The security actor, or None."""
        return self.process.inherited.actor

    @property
    def inherited(self) -> Inherited:
        """Context values, actor and scope, as they are handed down (W5)."""
        return self.process.inherited

    @property
    def scope(self) -> Any:
        """The security scope, or None."""
        return self.process.inherited.scope

    @property
    def options(self) -> Options:
        """Options of this process."""
        return Options(self)

    # -- messages

    def send(self, dest: str, topic: str, payload: Any = None, /, *more: Any) -> None:
        """Puts one message into the mailbox of a PID or name; never waits (M1).

        Of several payloads a list is made (M32). Order: messages to one receiver's channel arrive
        in sending order (M12).
        Raises: ProcessInvalid (reserved topic), ProcessNotFound, ProcessPermissionDenied, each
            with the message in `undelivered`.
        """
        if more:
            payload = [payload, *more]
        if dest is self._last_dest and topic is self._last_topic:
            route = self._last.entrance.route  # type: ignore[union-attr]  # None if it has ended
            if route is not None:
                route.append((topic, self.pid, payload, self._hand.at))
                return
        try:
            target = self._direct[dest]  # 5 ns less than `get`
        except KeyError:
            target = self._holder(dest)
        else:
            self._last = target
            self._last_dest = dest
            self._last_topic = topic
        if target is None or topic not in VETTED:
            self._last_dest = NOBODY
            operations.send(self._node, self.process, dest, topic, payload)
            return
        route = target.entrance.route
        if route is not None:
            route.append((topic, self.pid, payload, self._hand.at))
            return
        message = Sent()
        message.topic = topic
        message.sender = self.pid
        message.payload = payload
        if target.entrance.put(message):
            message.at = self._hand.stamp()
        self._node.delivered += 1

    def _holder(self, name: str) -> Process | None:
        """Who holds a name and can be reached directly."""
        pid = self._node.names.by_name.get(name)
        return None if pid is None or is_pid(name) else self._direct.get(pid)

    @property
    def _mailbox(self) -> PythonMailbox:
        mailbox = (self._process or self.process).mailbox
        if not isinstance(mailbox, PythonMailbox):
            raise make_error(ErrorKind.INVALID, f"{self.id} does not read its mailbox in Python")
        return mailbox

    @property
    def inbox(self) -> Subscription:
        """Messages of all topics without a channel of their own; opened by the first access."""
        inbox = self._inbox
        if inbox is None or inbox.closed:
            inbox = self._inbox = self._mailbox.inbox()
        return inbox

    def messages(self) -> Subscription:
        """The inbox, which ends for its readers when this process is asked to end (K1).

        `async for message in ctx.messages()`: what is unread then still comes. Who reads
        `ctx.inbox` goes on until its time is up, unless it looks for a CANCEL in `ctx.events`.
        """
        self._mailbox.end_when_asked()
        return self.inbox

    @property
    def events(self) -> Subscription:
        """Control events; opened by the first access, nothing sent before is lost."""
        return self._mailbox.events()

    def listen(self, topic: str, *, message: bool = False) -> Subscription:
        """The channel of one topic: payloads, or Message objects (L7, L8)."""
        if not isinstance(topic, str):
            raise TypeError(f"topic must be a str, not {type(topic).__name__}")
        if topic.startswith("@"):
            raise make_error(ErrorKind.INVALID, "cannot listen to @ topics")
        if not topic:
            raise make_error(ErrorKind.INVALID, "topic cannot be empty")
        return self._mailbox.listen(topic, message is True)

    async def receive(
        self,
        wanted: str | type | Callable[[Message], bool] | None = None,
        *,
        timeout: float | str | None = None,
    ) -> Message:
        """The next message of the inbox, or the first of a topic, payload type or condition.

        Messages that are passed over stay in order. Checkpoint: always.

        Raises:
            ProcessTimeout: none came within `timeout` (seconds or text).
            ProcessInvalid: `timeout` is malformed.
            trio.EndOfChannel: the inbox was closed.
            TypeError: what is wanted is none of these.
        """
        inbox = self.inbox
        if timeout is None:
            return await receive_from(inbox, wanted)
        from trio_actors._core.duration import duration_seconds

        try:
            seconds = duration_seconds(timeout)
        except Exception:
            await trio.lowlevel.checkpoint()  # noqa: ASYNC120
            raise
        with trio.move_on_after(seconds):
            return await receive_from(inbox, wanted)
        raise make_error(ErrorKind.TIMEOUT, f"no message within {timeout}", retryable=None)

    def checkpoint(self) -> Coroutine[Any, Any, None]:
        """Lets others run. Checkpoint: always; as `trio.lowlevel.checkpoint`, and mostly faster.

        A function that has not waited for anything but its messages and this has no task of its
        own yet, and needs none for it: that takes a quarter of the time.
        """
        return let_others_run(getattr(self.process.mailbox, "stepped", None))

    def cast(self, dest: str, message: object) -> None:
        """Sends a typed message; its topic is the name of its class."""
        self.send(dest, topic_of(message), message)

    def ask(
        self, dest: str, request: Ask[ReplyT], *, timeout: float | str | None = None
    ) -> Coroutine[Any, Any, ReplyT]:
        """The reply of another process, typically a Server; see `ask.ask` for what it raises.

        Units: timeout in seconds, or a text like "5s"; None waits for reply or end.
        """
        return ask(self._node, self._direct, self.process, dest, request, timeout)

    # -- other processes; how they are started: see Starts

    def terminate(self, dest: str) -> None:
        """Ends a process by force, at once (T1-T4); of oneself: at the next checkpoint (PY9)."""
        operations.terminate(self._node, self.process, dest)

    def cancel(self, dest: str, deadline: float | str | None = None) -> None:
        """Asks a process to end; the deadline is enforced (K1-K7). Units: seconds from now."""
        operations.cancel(self._node, self.process, dest, deadline)

    def monitor(self, dest: str) -> None:
        """One EXIT event will come when `dest` ends (N1)."""
        operations.monitor(self._node, self.process, dest)

    def unmonitor(self, dest: str) -> None:
        """Takes a monitor back (N4)."""
        operations.unmonitor(self._node, self.process, dest)

    def link(self, dest: str) -> None:
        """Ties this process and `dest`: the failure of one reaches the other (K10-K15)."""
        operations.link(self._node, self.process, dest)

    def unlink(self, dest: str) -> None:
        """Unties both (K11)."""
        operations.unlink(self._node, self.process, dest)

    # -- names

    def register(self, name: str, pid: str | None = None) -> None:
        """Gives a name to a process, by default this one (R1)."""
        operations.register(self._node, self.process, name, pid)

    def unregister(self, name: str) -> bool:
        """Takes a name away; False if nobody held it (R6)."""
        return operations.unregister(self._node, self.process, name)

    def lookup(self, name: str) -> Pid:
        """Who holds a name (R5)."""
        return self.process.node.names.lookup(name)

    # -- itself

    def started(self, value: object = None) -> None:
        """Signals readiness to whoever spawned with `ready=True` (PH5); repeatable."""
        readiness = self.process.readiness
        if readiness is not None:
            readiness(value)

    async def upgrade(self, target: Target | str | SpawnTarget | None, *state: Any) -> Never:
        """Replaces this process's code, keeping PID, names, links and unread messages (U1-U6).

        `None` runs the same definition again with new state. Never returns: the old code is
        unwound first (PY11).
        """
        process = self.process
        process.upgrade = (target, state)
        process.drive.interrupt()
        while True:
            await trio.sleep_forever()


def make_context(process: Process) -> ProcessContext:
    """What a process gets; a function for the reason of `make_process`."""
    context = ProcessContext()
    context._process = process
    context._inbox = None
    context.pid = process.pid
    context._node = node = process.node
    context._hand = node.hand
    context._last_dest = NOBODY
    inherited = process.inherited
    if node.strict or (inherited is not NOTHING_INHERITED and inherited.guarded):
        context._guarded = True
        context._direct = NOBODY
    else:
        context._guarded = False
        context._direct = node.direct
    return context


async def receive_from(inbox: Subscription, wanted: Any) -> Message:
    if wanted is None:
        message: Message = await inbox.receive()
    elif isinstance(wanted, str):
        message = await inbox.receive_where(lambda m: bool(m.topic == wanted))
    elif isinstance(wanted, type):
        message = await inbox.receive_where(lambda m: isinstance(m.payload, wanted))
    elif callable(wanted):
        message = await inbox.receive_where(wanted)
    else:
        await trio.lowlevel.cancel_shielded_checkpoint()
        text = "expected a topic, a class or a function of the message; a time goes to timeout="
        raise TypeError(f"cannot receive {wanted!r}: {text}")
    return message
