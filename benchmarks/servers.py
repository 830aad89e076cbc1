"""The workloads that are done by servers, whatever their handlers are: plain.py, awaiting.py."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio
import trio.testing
from harness import Stopwatch

from trio_actors import Ask, Node, Server, open_node
from trio_actors._core.drive import MailboxOnly
from trio_actors._core.stepped import Stepped

RING = 503
SENDERS = 1000
CROWD = 200


class Double(Ask[int]):
    """Asks for twice a number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


@attrs.frozen(slots=True)
class Servers:
    """Server classes of one kind, and the programs that are made of them."""

    echo: type[Server]  # answers every message
    pinger: type[Server]  # (peer, n, done): sends `n` pings, one after the other
    sink: type[Server]  # (n): counts messages up to `n`, then ends
    producer: type[Server]  # (peer, n): sends `n` messages when told to, then ends
    member: type[Server]  # (n, done): one of a ring
    guest: type[Server]  # (times): greets everybody, counts the greetings
    sleeper: type[Server]  # (left, done): counts, in a list shared by all, the woken
    brief: type[Server]  # ends at once
    linked: type[Server]  # (peer): links itself to another and waits
    doubler: type[Server]  # answers Double

    async def ping(self, n: int, watch: Stopwatch) -> int:
        """Two servers."""
        done = trio.Event()
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            peer = await host.spawn(self.echo)
            pinger = await host.spawn(self.pinger, peer, n, done)
            with watch:
                node.send(pinger, "pong", -1)
                await done.wait()
        return n

    async def hose(self, n: int, watch: Stopwatch) -> int:
        """Two servers."""
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            peer = await host.spawn(self.sink, n)
            with watch:
                node.send(host.spawn_soon(self.producer, peer, n), "go")
                await host.join()
        return n

    async def fan(self, n: int, watch: Stopwatch) -> int:
        """1,000 servers send to one."""
        each = max(1, n // SENDERS)
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            peer = await host.spawn(self.sink, each * SENDERS)
            with watch:
                for _ in range(SENDERS):
                    node.send(host.spawn_soon(self.producer, peer, each), "go")
                await host.join()
        return each * SENDERS

    async def ring(self, n: int, watch: Stopwatch) -> int:
        """503 servers."""
        done = trio.Event()
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            pids = [host.spawn_soon(self.member, n, done) for _ in range(RING)]
            for i, pid in enumerate(pids):
                node.send(pid, "next", pids[(i + 1) % RING])
            await trio.testing.wait_all_tasks_blocked()
            with watch:
                node.send(pids[0], "token", 0)
                await done.wait()
        return n

    async def all_to_all(self, n: int, watch: Stopwatch) -> int:
        """200 servers."""
        times = max(1, n // CROWD**2)
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            pids = [host.spawn_soon(self.guest, times) for _ in range(CROWD)]
            with watch:
                for pid in pids:
                    node.send(pid, "others", [other for other in pids if other != pid])
                await host.join()
        return times * CROWD * (CROWD - 1)

    async def wake(self, n: int, watch: Stopwatch) -> int:
        """`n` idle servers."""
        done, left = trio.Event(), [n]
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            pids = [host.spawn_soon(self.sleeper, left, done) for _ in range(n)]
            await trio.testing.wait_all_tasks_blocked()
            with watch:
                for pid in pids:
                    node.send(pid, "wake")
                await done.wait()
        return n

    async def spawn(self, n: int, watch: Stopwatch) -> int:
        """Servers that end in `init`."""
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            with watch:
                for _ in range(n):
                    host.spawn_soon(self.brief)
                await host.join()
        return n

    async def idle(self, n: int, watch: Stopwatch) -> int:
        """Servers that wait for a message."""
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            with watch:
                for _ in range(n):
                    host.spawn_soon(self.echo)
                await trio.testing.wait_all_tasks_blocked()
        return n

    async def cascade(self, n: int, watch: Stopwatch) -> int:
        """A chain of linked servers."""
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            first = peer = host.spawn_soon(self.linked)
            for _ in range(n - 1):
                peer = host.spawn_soon(self.linked, peer)
            await trio.testing.wait_all_tasks_blocked()
            with watch:
                node.terminate(first)
                await host.join()
        return n

    async def ask_one(self, n: int, watch: Stopwatch) -> int:
        """One client."""
        return await self._ask(1, n, watch)

    async def ask_many(self, n: int, watch: Stopwatch) -> int:
        """100 clients."""
        return await self._ask(100, n, watch)

    async def ask_many_by_mailbox(self, n: int, watch: Stopwatch) -> int:
        """100 clients of a server that never answers in a caller's turn, as if always busy."""
        answer_now = Stepped.answer_now
        Stepped.answer_now = MailboxOnly.answer_now  # type: ignore[method-assign]
        try:
            return await self.ask_many(n, watch)
        finally:
            Stepped.answer_now = answer_now  # type: ignore[method-assign]

    async def _ask(self, clients: int, n: int, watch: Stopwatch) -> int:
        each = max(1, n // clients)

        async def client(node: Node, pid: str) -> None:
            for i in range(each):
                await node.ask(pid, Double(i))

        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            pid = await host.spawn(self.doubler)
            await trio.testing.wait_all_tasks_blocked()
            with watch:
                async with trio.open_nursery() as nursery:
                    for _ in range(clients):
                        nursery.start_soon(client, node, pid)
        return each * clients

    async def memory(self, n: int, resident: Callable[[], int]) -> int:
        """Bytes that `n` idle servers take after one message each."""
        async with open_node() as node, node.open_host("app:bench", drain=0) as host:
            before = resident()
            pids = [host.spawn_soon(self.sink, 1_000) for _ in range(n)]
            await trio.testing.wait_all_tasks_blocked()
            for pid in pids:
                node.send(pid, "item", 1)
            await trio.testing.wait_all_tasks_blocked()
            return resident() - before
