"""Functions that do what messages say, in every way that a function can be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from types import FunctionType
from typing import Any

import attrs
import trio

from trio_actors import (
    Ask,
    Exit,
    Message,
    Node,
    Pid,
    ProcessConflict,
    ProcessContext,
    ProcessError,
    Server,
    handles,
)

MINE: ContextVar[str] = ContextVar("MINE", default="nobody's")
UP = "up"  # what ends a nested loop
CLOSED = "closed"
CUT = "process cancelled", "linked process failed"


@attrs.frozen
class Do:
    """One command. `serial` makes durations differ, so that no two things happen at one time."""

    what: str
    serial: int
    whom: int = 0
    how: int = 0

    @property
    def seconds(self) -> float:
        """How long it lasts, if it does."""
        return 1 + self.how + self.serial * 0.0137


@attrs.frozen
class Add(Ask[int]):
    """Answered with one more, or refused."""

    number: int


class Adder(Server):
    """Answers at once."""

    @handles(Add)
    def add(self, request: Add) -> int:
        if request.number % 3 == 0:
            raise ProcessConflict("refused")
        return request.number + 1


class Slow(Server):
    """Answers after a second."""

    @handles(Add)
    async def add(self, request: Add) -> int:
        await trio.sleep(1.0041)
        return request.number + 1


@attrs.define(eq=False)
class Cast:
    """All processes of one run, and what has been seen of them."""

    node: Node
    servers: list[Pid]
    pids: list[Pid] = attrs.field(factory=list)
    lock: trio.Lock = attrs.field(factory=trio.Lock)
    notes: dict[str, list[Any]] = attrs.field(factory=dict)
    exits: dict[int, list[Any]] = attrs.field(factory=dict)
    children: dict[Pid, int] = attrs.field(factory=dict)
    aborted: bool = False  # together with its host

    def joins(self, pid: Pid) -> None:
        """One more process."""
        index = len(self.pids)
        self.pids.append(pid)
        ends = self.exits[index] = list[Any]()

        def ended(end: Exit) -> None:
            told = end.value, str(end.error), end.error and str(end.error.kind)
            assert not self.children.get(pid), "it has ended before its child tasks"
            # Who of a linked group is cut first is not promised.
            cut = end.value == "swallowed" or str(end.error) in CUT
            ends.append("cut" if self.aborted and cut else told)

        self.node.processes[pid].on_exit(ended)

    def whom(self, command: Do) -> Pid:
        """The one that it is about."""
        return self.pids[command.whom % len(self.pids)]

    def note(self, ctx: ProcessContext, what: Any, source: str = "itself") -> None:
        """What one has seen is in order as far as it comes from one source."""
        self.notes.setdefault(f"{ctx.pid} {source}", []).append(what)

    def now(self, ctx: ProcessContext, command: Do) -> Any:
        """What needs no waiting; a value if that is the end, and True if it is not for this."""
        try:
            return self._now(ctx, command)
        except ProcessError as error:
            self.note(ctx, str(error))
        return None

    def _now(self, ctx: ProcessContext, command: Do) -> Any:
        peer, serial = self.whom(command), command.serial
        match command.what:
            case "terminate" if peer != ctx.pid and ctx.process.mailbox.depth():
                pass  # what it does next would race with what that end does to it
            case "note":
                self.note(ctx, serial)
            case "send":
                for number in range(1 + command.how * 20):
                    ctx.send(peer, "data", (serial, number))
            case "return":
                return serial
            case "fail":
                raise RuntimeError(f"told to fail {serial}")
            case "up":
                return UP
            case "close":
                ctx.inbox.close()
            case "link" | "unlink" | "monitor" | "unmonitor" | "terminate":
                getattr(ctx, command.what)(peer)
            case "cancel":
                ctx.cancel(peer, command.seconds if command.how else None)
            case "suicide":
                ctx.terminate(ctx.pid)
            case "trap":
                ctx.options.trap_links = command.how > 0
            case "events":
                while len(ctx.events):
                    self.event(ctx, ctx.events.receive_nowait())
            case "read":
                data = ctx.listen("data", message=True)
                while len(data):
                    self.data(ctx, data.receive_nowait())
            case "lock":
                try:
                    self.lock.acquire_nowait()
                except trio.WouldBlock:
                    self.note(ctx, "locked")
            case "seize":  # what it has taken belongs to a task that is to end
                self.lock.acquire_nowait()
                return serial
            case "unlock":
                try:
                    self.lock.release()
                except RuntimeError:
                    self.note(ctx, "not mine")
            case "deadline":
                deadline = trio.current_effective_deadline() - trio.current_time()
                self.note(ctx, round(deadline, 6))
            case "var":
                self.note(ctx, MINE.get())
                MINE.set(f"{ctx.pid} {serial}")
            case "later":
                ctx.send_after(command.seconds, "data", (serial, 0))
            case "child":
                ctx.start_task(self._child, ctx, command)
            case _:
                return True
        return None

    def event(self, ctx: ProcessContext, event: Any) -> None:
        """Notes a control event."""
        result = event.result and (event.result.value, str(event.result.error))
        self.note(ctx, (str(event.kind), result), event.sender)

    def data(self, ctx: ProcessContext, message: Message) -> None:
        """Notes a message that is no command."""
        self.note(ctx, message.payload, message.sender or "somebody")

    async def _child(self, ctx: ProcessContext, command: Do) -> None:
        pid = ctx.pid
        self.children[pid] = self.children.get(pid, 0) + 1
        try:
            await trio.sleep(command.seconds)
            self.note(ctx, "child done", f"child {command.serial}")
        finally:
            self.children[pid] -= 1
            self.note(ctx, "child gone", f"child {command.serial}")


class Player:
    """The inside of one function."""

    def __init__(self, ctx: ProcessContext, cast: Cast, style: str, pending: list[Message]) -> None:
        self.ctx = ctx
        self.cast = cast
        self.style = style
        self.pending = deque(pending)  # taken with others, and not looked at yet
        self.task: Any = None

    def note(self, what: Any) -> None:
        """As of the cast."""
        self.cast.note(self.ctx, what)

    async def next(self) -> Any:
        """The next message, read in the style of this function."""
        ctx = self.ctx
        if self.pending:
            return self.pending.popleft()
        match self.style:
            case "for":
                async for message in ctx.inbox:
                    return message
                return CLOSED
            case "topic":
                return await ctx.receive("do")
            case "type":
                return await ctx.receive(Do)
            case "where":
                return await ctx.receive(lambda m: m.topic in ("do", "data"))
            case "many":
                self.pending.extend(await ctx.inbox.receive_many())
                return self.pending.popleft()
            case "listen":
                return await ctx.listen("do", message=True).receive()
        return await ctx.receive()

    async def loop(self) -> Any:
        """Until a command ends it."""
        while True:
            done = await self.one()
            if done is not None:
                return done

    async def one(self) -> Any:
        """Reads a message and does what it says."""
        message = await self.next()
        if message is CLOSED:
            return CLOSED
        if not isinstance(message.payload, Do):
            self.cast.data(self.ctx, message)
            return None
        if message.payload.what in ("terminate", "read", "seize") and self.pending:
            return None
        done = self.cast.now(self.ctx, message.payload)
        if done is True:
            try:
                return await self.act(message.payload)
            except ProcessError as error:
                self.note(str(error))
                return None
        return done

    async def act(self, command: Do) -> Any:
        """What needs waiting."""
        ctx, cast, seconds = self.ctx, self.cast, command.seconds
        match command.what:
            case "sleep":
                await trio.sleep(seconds)
            case "checkpoint":
                await trio.lowlevel.checkpoint()
            case "pause":
                await ctx.checkpoint()
            case "task":  # to keep it ties this code to it
                task = trio.lowlevel.current_task()
                self.task = self.task or task
                self.note(self.task is task)
            case "timeout":
                self.note((await ctx.receive("never", timeout=seconds)).topic)
            case "event":
                with trio.move_on_after(seconds):
                    cast.event(ctx, await ctx.events.receive())
            case "ask":
                server = [*cast.servers, cast.whom(command)][command.whom % 3]
                self.note(await ctx.ask(server, Add(command.serial), timeout=seconds))
            case "spawn":
                kind = list(PLAYERS)[command.whom % len(PLAYERS)]
                flags: Any = [{}, {"monitor": True}, {"link": True}][command.how % 3]
                cast.joins(await ctx.spawn(PLAYERS[kind], cast, **flags))
            case "upgrade":
                kind = list(PLAYERS)[command.whom % len(PLAYERS)]
                await ctx.upgrade(PLAYERS[kind], cast, list(self.pending))
            case _:
                return await getattr(self, f"_{command.what}")(command)
        return None

    # Loops within the loop, each with something around it that notes how it was left.

    async def _finally(self, command: Do) -> Any:
        try:
            done = await self.loop()
        finally:
            self.note(f"finally {command.serial}")
        return None if done == UP else done

    async def _except(self, command: Do) -> Any:
        try:
            done = await self.loop()
        except BaseException as error:
            self.note(f"{type(error).__name__} {command.serial}")
            raise
        return None if done == UP else done

    async def _swallow(self, command: Do) -> Any:
        try:
            done = await self.loop()
        except trio.Cancelled:  # noqa: ASYNC103
            self.note(f"swallowed {command.serial}")
            done = "swallowed"  # whether one may still read is a matter of what is left to it
        return None if done == UP else done  # noqa: ASYNC104

    async def _last(self, command: Do) -> Any:
        """Its end lasts, and reads one more message."""
        try:
            done = await self.loop()
        finally:
            with trio.move_on_after(command.seconds, shield=True):
                message = await self.next()
                self.note(f"last {message if message is CLOSED else message.topic}")
            with trio.move_on_after(command.seconds, shield=True):
                await trio.sleep(command.seconds * 0.4637)
                self.note(f"late {command.serial}")
        return None if done == UP else done

    async def _scope(self, command: Do) -> Any:
        done: Any = UP
        with trio.move_on_after(command.seconds) as scope:
            done = await self.loop()
        self.note(f"scope {scope.cancelled_caught} {scope.cancel_called}")
        return None if done == UP else done

    async def _receiving(self, command: Do) -> Any:
        """For one message only."""
        done: Any = None
        with trio.move_on_after(command.seconds) as scope:
            done = await self.one()
        self.note(f"received {not scope.cancelled_caught}")
        return done

    async def _nursery(self, command: Do) -> Any:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._other, command)
            done = await self.loop()
            nursery.cancel_scope.cancel()
        return None if done == UP else done

    async def _other(self, command: Do) -> None:
        """Reads another channel at the same time, in a task of its own."""
        topic = f"other {command.serial}"
        self.ctx.send_after(command.seconds, topic, command.serial)
        self.cast.note(self.ctx, await self.ctx.listen(topic).receive(), topic)

    async def _locked(self, command: Do) -> Any:
        with trio.move_on_after(command.seconds):
            try:
                async with self.cast.lock:
                    done = await self.loop()
                    return None if done == UP else done
            except (RuntimeError, trio.BrokenResourceError) as error:
                self.note(type(error).__name__)
        self.note("not locked")
        return None


def _player(style: str) -> Callable[..., Any]:
    async def player(ctx: ProcessContext, cast: Cast, pending: list[Message] | None) -> Any:
        return await Player(ctx, cast, style, pending or []).loop()

    # Each with code of its own: what has had to get a task is known by its code.
    return FunctionType(player.__code__.replace(), globals(), style, None, player.__closure__)


async def quiet_for(ctx: ProcessContext, cast: Cast, pending: list[Message] | None) -> Any:
    """Has no handlers, so it cannot tell by what it is unwound."""
    for message in pending or ():
        cast.data(ctx, message)
    async for message in ctx.inbox:
        if isinstance(message.payload, Do):
            done = cast.now(ctx, message.payload)
            if done is True:
                await trio.sleep(message.payload.seconds)
            elif done is not None:
                return done
        else:
            cast.data(ctx, message)
    return CLOSED


async def loud(ctx: ProcessContext, cast: Cast, pending: list[Message] | None) -> Any:
    """Reads in its own frame, and sees how it is unwound."""
    try:
        async for message in ctx.inbox:
            if isinstance(message.payload, Do):
                done = cast.now(ctx, message.payload)
                if done is True:
                    await ctx.checkpoint()
                elif done is not None:
                    return done
    except BaseException as error:
        cast.note(ctx, type(error).__name__)
        raise
    return CLOSED


async def quiet_topic(ctx: ProcessContext, cast: Cast, pending: list[Message] | None) -> Any:
    """As that, but chooses what it reads."""
    while True:
        message = await ctx.receive("do")
        done = cast.now(ctx, message.payload)
        if done is True:
            await ctx.checkpoint()
        elif done is not None:
            return done


STYLES = ["for", "receive", "topic", "type", "where", "many", "listen"]
PLAYERS: dict[str, Callable[..., Any]] = {
    **{style: _player(style) for style in STYLES},
    "loud": loud,
    "quiet_for": quiet_for,
    "quiet_topic": quiet_topic,
}
