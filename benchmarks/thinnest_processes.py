"""The thinnest conceivable processes: what is left of ours if everything is left out that can be.

A PID, an entry in the node's table, an end that is remembered and told to linked processes; a Trio
task with a cancel scope, or an object that a loop steps. No mailbox, names, monitors, contexts,
permissions, deadlines, upgrades, options. How fast these are is a limit for anything in Python.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import trio
import trio.testing
from harness import Stopwatch
from trio.lowlevel import Abort, wait_task_rescheduled


class Thin:
    """One process."""

    __slots__ = ("code", "forced", "peers", "pid", "scope")

    pid: str
    code: Any  # a function, or a server
    forced: str | None
    peers: dict[str, None] | None
    scope: trio.CancelScope | None


class ThinNode:
    """The table of the living, and how the others ended."""

    def __init__(self) -> None:
        self.living: dict[str, Thin] = {}
        self.exits: dict[str, tuple[str, str | None]] = {}
        self.count = 0

    def make(self, code: Any) -> Thin:
        """A process that has not begun."""
        self.count += 1
        thin = Thin()
        thin.pid = pid = f"{{app:bench|0x{self.count:05x}}}"
        thin.code = code
        thin.forced = thin.peers = thin.scope = None
        self.living[pid] = thin
        return thin

    def link(self, a: Thin, b: Thin) -> None:
        """Ties two."""
        a.peers = {**(a.peers or {}), b.pid: None}
        b.peers = {**(b.peers or {}), a.pid: None}

    def end(self, thin: Thin, force: Callable[[Thin], object]) -> None:
        """Out of the table, remembered; after a forced end those linked are forced."""
        del self.living[thin.pid]
        self.exits[thin.pid] = (thin.pid, thin.forced)
        thin.code = None
        if thin.peers is not None and thin.forced is not None:
            for pid in thin.peers:
                peer = self.living.get(pid)
                if peer is not None and peer.forced is None:
                    force(peer)


# -- tasks


def cancel(thin: Thin) -> None:
    """The task is to end."""
    thin.forced = "linked process failed"
    assert thin.scope is not None
    thin.scope.cancel()


async def run(node: ThinNode, thin: Thin) -> None:
    """The task of one process."""
    with trio.CancelScope() as thin.scope:
        await thin.code(thin)
    node.end(thin, cancel)


async def nothing(thin: Thin) -> None:
    """Ends at once."""


async def waiting(thin: Thin) -> None:
    """Waits to be ended."""
    await wait_task_rescheduled(lambda _: Abort.SUCCEEDED)


async def spawn_tasks(n: int, watch: Stopwatch) -> int:
    """Tasks that end at once."""
    node = ThinNode()
    with watch:
        async with trio.open_nursery() as nursery:
            for _ in range(n):
                nursery.start_soon(run, node, node.make(nothing), name="thin")
    return n


async def idle_tasks(n: int, watch: Stopwatch) -> int:
    """Tasks that wait."""
    node = ThinNode()
    async with trio.open_nursery() as nursery:
        with watch:
            for _ in range(n):
                nursery.start_soon(run, node, node.make(waiting), name="thin")
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return n


async def cascade_tasks(n: int, watch: Stopwatch) -> int:
    """A chain of waiting tasks, the first is cancelled."""
    node = ThinNode()
    chain = [node.make(waiting) for _ in range(n)]
    for a, b in pairwise(chain):
        node.link(a, b)
    async with trio.open_nursery() as nursery:
        for thin in chain:
            nursery.start_soon(run, node, thin, name="thin")
        await trio.testing.wait_all_tasks_blocked()
        with watch:
            cancel(chain[0])
            while node.living:
                await trio.testing.wait_all_tasks_blocked()
    return n


# -- servers


class Idle:
    """Sets nothing up."""

    def init(self) -> None:
        """Nothing."""


class Brief:
    """Ends at once."""

    def __init__(self) -> None:
        self.over = False

    def init(self) -> None:
        """Stops."""
        self.over = True


class Loop:
    """Steps servers, as a dispatcher does."""

    def __init__(self) -> None:
        self.node = ThinNode()
        self.ready: deque[Thin] = deque()

    def spawn(self, server: Callable[[], Any]) -> Thin:
        """A server that begins in its first turn."""
        thin = self.node.make(server())
        self.ready.append(thin)
        return thin

    def force(self, thin: Thin) -> None:
        """The server ends in its next turn."""
        thin.forced = "linked process failed"
        self.ready.append(thin)

    async def run(self) -> None:
        """Turns of 1,024 until there is nothing to do."""
        ready = self.ready
        while ready:
            for _ in range(1024):
                if not ready:
                    break
                self.turn(ready.popleft())
            await trio.lowlevel.checkpoint()

    def turn(self, thin: Thin) -> None:
        """Begins, or ends."""
        if thin.forced is None:
            thin.code.init()
            if not getattr(thin.code, "over", False):
                return
        self.node.end(thin, self.force)


def of_servers(server: Callable[[], Any]) -> Callable[[int, Stopwatch], Awaitable[int]]:
    """A program that spawns `n` servers and lets them begin."""

    async def program(n: int, watch: Stopwatch) -> int:
        loop = Loop()
        with watch:
            for _ in range(n):
                loop.spawn(server)
            await loop.run()
        return n

    return program


async def cascade_servers(n: int, watch: Stopwatch) -> int:
    """A chain of waiting servers, the first is forced to end."""
    loop = Loop()
    chain = [loop.spawn(Idle) for _ in range(n)]
    for a, b in pairwise(chain):
        loop.node.link(a, b)
    await loop.run()
    with watch:
        loop.force(chain[0])
        await loop.run()
    return n
