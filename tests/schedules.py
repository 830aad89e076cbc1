"""Drawn schedules: deliveries are held back and let through in an order drawn from a seed.

Between one sender and one receiver the order stays (M12); everything else may overtake. Between
two deliveries the tasks run until all are blocked, or only for some steps: that is drawn too.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio
import trio.testing

from property_tests.ways import functions_begin
from trio_actors import Event, EventKind, Node, Pid, Process
from trio_actors._core.node import Gate

RUNS = 1000

Pair = tuple[str, str]


@attrs.frozen
class Passed:
    """One item that was let through."""

    source: str
    target: str
    item: Any
    at: float
    too_late: bool  # its receiver had ended


class Held(Gate):
    """A gate that keeps everything until `play` lets it through."""

    def __init__(self, node: Node, seed: int) -> None:
        self.rng = random.Random(seed)
        self.held: dict[Pair, deque[tuple[Process, Any]]] = {}
        self.through: list[Passed] = []  # in this order
        self.node = node
        node.install(self)

    def post(self, source: Pid | None, target: Process, item: Any) -> None:
        """Keeps one item (TS1)."""
        self.held.setdefault((source or "", target.pid), deque()).append((target, item))

    def release(self) -> None:
        """Lets the oldest item of a drawn pair through."""
        pair = self.rng.choice(list(self.held))
        queue = self.held[pair]
        target, item = queue.popleft()
        if not queue:
            del self.held[pair]
        self.through.append(Passed(*pair, item, trio.current_time(), target.ended))
        target.deliver(item)

    def told(self, target: Pid, kind: EventKind) -> list[str]:
        """Whose events of this kind have reached a process while they were held, in order."""
        events = (passed for passed in self.to(target) if isinstance(passed.item, Event))
        return [passed.source for passed in events if passed.item.kind is kind]

    def to(self, target: Pid) -> list[Passed]:
        """What has been let through to a process."""
        return [passed for passed in self.through if passed.target == target]

    async def play(self, *pauses: float) -> None:
        """Lets everything through, in a drawn order; returns when nothing moves any more.

        With `pauses` some time passes as well before one or the other.
        """
        while True:
            if pauses and self.held and self.rng.random() < 0.5:
                await trio.sleep(self.rng.choice(pauses))
            if self.rng.random() < 0.5:
                await trio.testing.wait_all_tasks_blocked()
                if not self.held:
                    return
            else:
                for _ in range(self.rng.randrange(3)):
                    await trio.lowlevel.checkpoint()
            for _ in range(self.rng.randrange(1, 4)):
                if self.held:
                    self.release()

    def drop(self) -> None:
        """From now on everything is delivered at once."""
        self.node.install(None)


async def under_schedules(
    node: Node, scenario: Callable[[Held], Awaitable[None]], *, runs: int = RUNS
) -> None:
    """Runs a scenario under many schedules; a failure names the seed.

    Functions are stepped in every other one, and have a task from the start in the others
    (guarantee 64): what has had to get a task in one schedule is forgotten in the next.
    """
    for seed in range(runs):
        held = Held(node, seed)
        node.tasked.clear()
        try:
            with functions_begin(stepped=seed % 2 == 0):
                await scenario(held)
        except AssertionError as error:
            error.add_note(f"under schedule {seed}")
            raise
        finally:
            held.drop()
