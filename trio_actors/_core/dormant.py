"""What stands in for a plain server until there is something to do: its mailbox and its drive.

The theory: a server that waits for its first message needs no queue and no object of its class,
and one that ends in its `init` needs no queue either. So a spawn makes one small object, which the
garbage collector has little to do with. Whatever comes first wakes it: a `Stepped` is made and
takes all its places, save the one in the dispatcher's queue, from which it hands the turn on.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from trio.lowlevel import disable_ki_protection

from trio_actors._core.context import make_context
from trio_actors._core.dispatch import TURN, Dispatched, Dispatcher
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.exit import Exit
from trio_actors._core.lifecycle import READY, RUNNING
from trio_actors._core.mailbox import Mailbox, Untyped
from trio_actors._core.message import Event, Message
from trio_actors._core.stepped import Stepped, make_stepped

if TYPE_CHECKING:
    from trio_actors._core.pace import Pace
    from trio_actors._core.process import Process
    from trio_actors.server import Server, ServerTarget


class Dormant(Untyped, Dispatched):
    """Of a server without an `init`: its code begins in its first turn, which is to do nothing."""

    __slots__ = ("process",)
    route = None

    process: Process

    def wake(self) -> Stepped:
        """The server itself, made now; or what is there in its place, if somebody kept this one."""
        process = self.process
        if process.mailbox is not self:
            return process.mailbox  # type: ignore[return-value]  # any mailbox
        stepped = self._make(process.target)  # type: ignore[arg-type]  # quick.py has seen to it
        stepped.process = process
        stepped.hand = process.node.hand
        stepped._dispatcher = process.host.dispatcher  # type: ignore[assignment]  # it is on
        if process.entrance is self:
            process.entrance = stepped
        process.mailbox = process.drive = stepped
        return stepped

    def _make(self, target: ServerTarget) -> Stepped:
        stepped = make_stepped(None, target.table, ())
        if self.process.state is RUNNING:
            stepped._begun = True
            # A forced end has its place in the queue: see `interrupt`.
            stepped.halted = stepped._scheduled = self.process.forced is not None
        return stepped

    # Dispatched

    @disable_ki_protection
    def turn(self) -> None:
        """It begins, and so do those behind it: 0.04 us each, in a turn for each 0.2 us."""
        process = self.process
        if process.drive is not self:
            self.go_on()
            return
        dispatcher: Dispatcher = process.host.dispatcher  # type: ignore[assignment]  # it is on
        dispatcher.pace.left -= 1
        if process.forced is not None:
            process.node.end(process, process.forced)
            return
        process.state = RUNNING  # as `Process.step` does
        ready = dispatcher.ready
        for _ in range(TURN):
            if not ready:
                break
            one = ready.popleft()
            if (
                one.__class__ is not Dormant
                or (process := one.process).drive is not one
                or process.forced is not None
            ):
                ready.appendleft(one)
                break
            process.state = RUNNING

    def go_on(self) -> None:
        """It was woken before its turn: that is the turn of the server."""
        if not self.process.ended:
            self.wake().turn()

    def end(self, end: Exit) -> None:
        """Ends now."""
        self.wake().end(end)

    # Mailbox

    def put(self, message: Message) -> object:
        """Takes a message."""
        return self.wake().put(message)

    def put_event(self, event: Event) -> None:
        """Takes a control event."""
        self.wake().put_event(event)

    def drain(self) -> list[Message | Event]:
        """Everything unread."""
        return self.wake().drain()

    def depth(self) -> int:
        """Nothing, while it is the mailbox."""
        return 0

    def unread_since(self) -> float | None:
        """Never, while it is the mailbox."""
        return None

    def close(self) -> None:
        """Nothing is to be discarded."""

    # Drive

    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """As the server does."""
        return self.wake().answer_now(request, caller, due, turns)

    def start(self) -> None:
        """It stands in the dispatcher's queue from the start."""

    def interrupt(self) -> None:
        """Sees that the forced end is carried out: mostly in a turn of its own, without waking."""
        process = self.process
        target: ServerTarget = process.target  # type: ignore[assignment]  # as in `wake`
        if process.state is RUNNING and process.rare is None and not target.table.parting:
            process.host.dispatcher.add(self)  # type: ignore[union-attr]  # it is on
        else:
            stepped = self.wake()
            stepped._scheduled = process.state is READY  # else it does not stand in the queue
            stepped.interrupt()

    def limit(self, deadline: float) -> None:
        """Arms a timer."""
        self.wake().limit(deadline)

    def doing(self) -> str:
        """It waits."""
        return "idle"

    def line(self) -> str | None:
        """Plain handlers do not wait."""
        return None

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """As `line`."""
        return iter(())


class Unstarted(Dormant):
    """Of a server with an `init`, until that has run; also what the server calls meanwhile."""

    __slots__ = ("args", "finished", "halted", "server")

    args: tuple[Any, ...]
    server: Server | None  # from the first turn on
    halted: bool  # this and `finished` are set by `Server.stop`
    finished: Exit

    def _make(self, target: ServerTarget) -> Stepped:
        if self.process.state is READY:
            server = target.new()
            server._serving = stepped = make_stepped(server, target.table, self.args)
            return stepped
        assert self.server is not None
        stepped = make_stepped(self.server, target.table, ())
        self.server._serving = stepped
        stepped._begun = stepped._opened = stepped._busy = True
        if self.halted:
            stepped.stop(self.finished)
        return stepped

    @disable_ki_protection
    def turn(self) -> None:
        """Runs `init`, as `Stepped.turn` does; whoever stops in it ends without one (0.5 us)."""
        process = self.process
        if process.entrance is not self:
            self.go_on()
            return
        target: ServerTarget = process.target  # type: ignore[assignment]  # as in `wake`
        pace = process.host.dispatcher.pace  # type: ignore[union-attr]  # it takes this turn
        args = self.args
        process.state = RUNNING  # as `Process.step` does
        self.halted = False
        self.server = server = target.new()
        server._serving = self  # type: ignore[assignment]  # has what `Server` calls
        server.ctx = process.view = process.view or make_context(process)
        try:
            if args:
                server.init(*args)
            else:
                server.init()
        except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
            pace.left -= 1
            if process.ended:  # given up meanwhile
                raise
            stepped = self.wake()
            try:
                stepped._end(None, exc)
            finally:
                stepped._busy = False
            return  # noqa: ASYNC104
        if (
            self.halted
            and process.rare is None
            and process.mailbox is self  # a forced end or an upgrade would have woken it
            and not target.table.parting
        ):
            pace.left -= 2  # an end takes as long as a message
            process.node.end(process, self.finished)
        elif not process.ended:
            pace.left -= 1
            stepped = self.wake()
            stepped._busy = False
            if not stepped.turned():
                stepped.turn()

    def interrupt(self) -> None:
        """By the `init` that is running, or before it."""
        self.wake().interrupt()

    def close(self) -> None:
        """Lets go of the server."""
        self.server = None

    def defer(self) -> NoReturn:
        """Nobody has asked yet."""
        raise make_error(ErrorKind.INVALID, "no request is being answered here")


def awake(process: Process) -> Mailbox:
    """The mailbox of a process, for who will look into it or stand before it."""
    mailbox = process.mailbox
    return mailbox.wake() if isinstance(mailbox, Dormant) else mailbox
