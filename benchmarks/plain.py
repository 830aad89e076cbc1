"""Our processes as servers with plain handlers, for the workloads of the other files."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from harness import Stopwatch

from trio_actors import Ask, Host, Message, Node, Server, handles, open_node
from trio_actors._core.drive import MailboxOnly
from trio_actors._core.stepped import Stepped

RING = 503
SENDERS = 1000
CROWD = 200


class Echo(Server):
    """Answers every message."""

    @handles("ping")
    def ping(self, message: Message) -> None:
        self.ctx.send(message.sender or "", "pong", message.payload)


class Pinger(Server):
    """Sends `n` pings, one after the other."""

    def init(self, peer: str, n: int, done: trio.Event) -> None:
        self.peer, self.n, self.done = peer, n, done

    @handles("pong")
    def pong(self, message: Message) -> None:
        i = message.payload + 1
        if i < self.n:
            self.ctx.send(self.peer, "ping", i)
        else:
            self.done.set()


async def ping(n: int, watch: Stopwatch) -> int:
    """Two servers."""
    done = trio.Event()
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        peer = await host.spawn(Echo)
        pinger = await host.spawn(Pinger, peer, n, done)
        with watch:
            node.send(pinger, "pong", -1)
            await done.wait()
    return n


class Sink(Server):
    """Counts messages up to `n`, then ends."""

    def init(self, n: int) -> None:
        self.left = n

    @handles("item")
    def item(self, message: Message) -> None:
        self.left -= 1
        if not self.left:
            self.stop()


class Producer(Server):
    """Sends `n` messages when told to, then ends."""

    def init(self, peer: str, n: int) -> None:
        self.peer, self.n = peer, n

    @handles("go")
    def go(self, message: Message) -> None:
        """At most 64 at a time, so that others have their turn."""
        send, peer = self.ctx.send, self.peer
        for i in range(min(64, self.n)):
            send(peer, "item", i)
        self.n -= 64
        if self.n > 0:
            send(self.ctx.pid, "go")
        else:
            self.stop()


async def hose(n: int, watch: Stopwatch) -> int:
    """Two servers."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        peer = await host.spawn(Sink, n)
        with watch:
            node.send(host.spawn_soon(Producer, peer, n), "go")
            await host.join()
    return n


async def fan(n: int, watch: Stopwatch) -> int:
    """1,000 servers send to one."""
    each = max(1, n // SENDERS)
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        peer = await host.spawn(Sink, each * SENDERS)
        with watch:
            for _ in range(SENDERS):
                node.send(host.spawn_soon(Producer, peer, each), "go")
            await host.join()
    return each * SENDERS


class Member(Server):
    """One of a ring."""

    def init(self, n: int, done: trio.Event) -> None:
        self.n, self.done, self.target = n, done, ""

    @handles("next")
    def next(self, message: Message) -> None:
        self.target = message.payload

    @handles("token")
    def token(self, message: Message) -> None:
        hops = message.payload
        if hops >= self.n:
            self.done.set()
        else:
            self.ctx.send(self.target, "token", hops + 1)


async def ring(n: int, watch: Stopwatch) -> int:
    """503 servers."""
    done = trio.Event()
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        pids = [host.spawn_soon(Member, n, done) for _ in range(RING)]
        for i, pid in enumerate(pids):
            node.send(pid, "next", pids[(i + 1) % RING])
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            node.send(pids[0], "token", 0)
            await done.wait()
    return n


class Guest(Server):
    """Greets everybody, counts the greetings, ends after `times` rounds."""

    def init(self, times: int) -> None:
        self.left = times * (CROWD - 1)
        self.times = times

    @handles("others")
    def others(self, message: Message) -> None:
        send = self.ctx.send
        for _ in range(self.times):
            for other in message.payload:
                send(other, "hello", None)

    @handles("hello")
    def hello(self, message: Message) -> None:
        self.left -= 1
        if not self.left:
            self.stop()


async def all_to_all(n: int, watch: Stopwatch) -> int:
    """200 servers."""
    times = max(1, n // CROWD**2)
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        pids = [host.spawn_soon(Guest, times) for _ in range(CROWD)]
        with watch:
            for pid in pids:
                node.send(pid, "others", [other for other in pids if other != pid])
            await host.join()
    return times * CROWD * (CROWD - 1)


class Sleeper(Server):
    """Counts, in a list shared by all, how many have been woken."""

    def init(self, left: list[int], done: trio.Event) -> None:
        self.left, self.done = left, done

    @handles("wake")
    def wake(self, message: Message) -> None:
        self.left[0] -= 1
        if not self.left[0]:
            self.done.set()


async def wake(n: int, watch: Stopwatch) -> int:
    """`n` idle servers."""
    done, left = trio.Event(), [n]
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        pids = [host.spawn_soon(Sleeper, left, done) for _ in range(n)]
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            for pid in pids:
                node.send(pid, "wake")
            await done.wait()
    return n


class Brief(Server):
    """Ends at once."""

    def init(self) -> None:
        self.stop()


async def spawn(n: int, watch: Stopwatch) -> int:
    """Servers that end in `init`."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        with watch:
            for _ in range(n):
                host.spawn_soon(Brief)
            await host.join()
    return n


async def idle(n: int, watch: Stopwatch) -> int:
    """Servers that wait for a message."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        with watch:
            for _ in range(n):
                host.spawn_soon(Echo)
            await trio.testing.wait_all_tasks_blocked()
    return n


class Linked(Server):
    """Links itself to another and waits."""

    def init(self, peer: str | None = None) -> None:
        if peer is not None:
            self.ctx.link(peer)


async def cascade(n: int, watch: Stopwatch) -> int:
    """A chain of linked servers."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        first = peer = host.spawn_soon(Linked)
        for _ in range(n - 1):
            peer = host.spawn_soon(Linked, peer)
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            node.terminate(first)
            await host.join()
    return n


# -- ask


class Double(Ask[int]):
    """Asks for twice a number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Doubler(Server):
    """Answers in the same turn."""

    @handles(Double)
    def double(self, request: Double) -> int:
        return 2 * request.number


class AsyncDoubler(Server):
    """The same with an async handler: a task of its own."""

    @handles(Double)
    async def double(self, request: Double) -> int:
        return 2 * request.number


async def _ask(server: type[Server], clients: int, n: int, watch: Stopwatch) -> int:
    each = max(1, n // clients)

    async def client(node: Node, pid: str) -> None:
        for i in range(each):
            await node.ask(pid, Double(i))

    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        pid = await host.spawn(server)
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            async with trio.open_nursery() as nursery:
                for _ in range(clients):
                    nursery.start_soon(client, node, pid)
    return each * clients


async def ask_one(n: int, watch: Stopwatch) -> int:
    """One client, plain handlers."""
    return await _ask(Doubler, 1, n, watch)


async def ask_many(n: int, watch: Stopwatch) -> int:
    """100 clients, plain handlers."""
    return await _ask(Doubler, 100, n, watch)


async def ask_many_by_mailbox(n: int, watch: Stopwatch) -> int:
    """100 clients of a server that never answers in a caller's turn, as if it was always busy."""
    answer_now = Stepped.answer_now
    Stepped.answer_now = MailboxOnly.answer_now  # type: ignore[method-assign]
    try:
        return await ask_many(n, watch)
    finally:
        Stepped.answer_now = answer_now  # type: ignore[method-assign]


async def ask_one_async(n: int, watch: Stopwatch) -> int:
    """One client, async handlers."""
    return await _ask(AsyncDoubler, 1, n, watch)


async def ask_many_async(n: int, watch: Stopwatch) -> int:
    """100 clients, async handlers."""
    return await _ask(AsyncDoubler, 100, n, watch)


async def memory(n: int, resident: Any) -> int:
    """Bytes that `n` idle servers take after one message each."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        before: int = resident()
        pids = start(host, n)
        await settle(node, pids)
        return int(resident()) - before


def start(host: Host, n: int) -> list[str]:
    """Servers that wait."""
    return [host.spawn_soon(Sink, 1_000) for _ in range(n)]


async def settle(node: Node, pids: list[str]) -> None:
    """One message to each, and until all are handled."""
    await trio.testing.wait_all_tasks_blocked()
    for pid in pids:
        node.send(pid, "item", 1)
    await trio.testing.wait_all_tasks_blocked()
