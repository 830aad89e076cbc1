"""The same servers with async handlers; most need not wait for anything."""

from __future__ import annotations

import attrs
import trio
from servers import CROWD, Double, Servers

from trio_actors import Message, Server, handles


class Echo(Server):
    """Answers every message."""

    @handles("ping")
    async def ping(self, message: Message) -> None:
        self.ctx.send(message.sender or "", "pong", message.payload)


class Pinger(Server):
    """Sends `n` pings, one after the other."""

    async def init(self, peer: str, n: int, done: trio.Event) -> None:
        self.peer, self.n, self.done = peer, n, done

    @handles("pong")
    async def pong(self, message: Message) -> None:
        i = message.payload + 1
        if i < self.n:
            self.ctx.send(self.peer, "ping", i)
        else:
            self.done.set()


class Sink(Server):
    """Counts messages up to `n`, then ends."""

    async def init(self, n: int) -> None:
        self.left = n

    @handles("item")
    async def item(self, message: Message) -> None:
        self.left -= 1
        if not self.left:
            self.stop()


class Producer(Server):
    """Sends `n` messages when told to, then ends."""

    async def init(self, peer: str, n: int) -> None:
        self.peer, self.n = peer, n

    @handles("go")
    async def go(self, message: Message) -> None:
        """At most 64 at a time, so that others have their turn."""
        send, peer = self.ctx.send, self.peer
        for i in range(min(64, self.n)):
            send(peer, "item", i)
        self.n -= 64
        if self.n > 0:
            send(self.ctx.pid, "go")
        else:
            self.stop()


class Member(Server):
    """One of a ring."""

    async def init(self, n: int, done: trio.Event) -> None:
        self.n, self.done, self.target = n, done, ""

    @handles("next")
    async def next(self, message: Message) -> None:
        self.target = message.payload

    @handles("token")
    async def token(self, message: Message) -> None:
        hops = message.payload
        if hops >= self.n:
            self.done.set()
        else:
            self.ctx.send(self.target, "token", hops + 1)


class Guest(Server):
    """Greets everybody, counts the greetings, ends after `times` rounds."""

    async def init(self, times: int) -> None:
        self.left = times * (CROWD - 1)
        self.times = times

    @handles("others")
    async def others(self, message: Message) -> None:
        send = self.ctx.send
        for _ in range(self.times):
            for other in message.payload:
                send(other, "hello", None)

    @handles("hello")
    async def hello(self, message: Message) -> None:
        self.left -= 1
        if not self.left:
            self.stop()


class Sleeper(Server):
    """Counts, in a list shared by all, how many have been woken."""

    async def init(self, left: list[int], done: trio.Event) -> None:
        self.left, self.done = left, done

    @handles("wake")
    async def wake(self, message: Message) -> None:
        self.left[0] -= 1
        if not self.left[0]:
            self.done.set()


class Brief(Server):
    """Ends at once."""

    async def init(self) -> None:
        self.stop()


class Linked(Server):
    """Links itself to another and waits."""

    async def init(self, peer: str | None = None) -> None:
        if peer is not None:
            self.ctx.link(peer)


class Doubler(Server):
    """Answers in the same turn."""

    @handles(Double)
    async def double(self, request: Double) -> int:
        return 2 * request.number


class WaitingEcho(Echo):
    """Answers every message, after a checkpoint."""

    @handles("ping")
    async def ping(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        self.ctx.send(message.sender or "", "pong", message.payload)


class WaitingPinger(Pinger):
    """Sends `n` pings, one after the other, each after a checkpoint."""

    @handles("pong")
    async def pong(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        await super().pong(message)


AWAITING = Servers(Echo, Pinger, Sink, Producer, Member, Guest, Sleeper, Brief, Linked, Doubler)
THAT_WAIT = attrs.evolve(AWAITING, echo=WaitingEcho, pinger=WaitingPinger)
