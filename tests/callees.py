"""What the tests of functions share: a service on a node, and a callee that counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from trio_actors import open_node
from trio_actors.functions import Functions, open_functions


@asynccontextmanager
async def opened() -> AsyncIterator[Functions]:
    """A functions service on a node of its own."""
    async with open_node() as node, open_functions(node) as functions:
        yield functions


class Gauge:
    """A callee that sleeps and knows how many of it run."""

    def __init__(self) -> None:
        self.running = self.most = self.runs = 0
        self.order: list[Any] = []

    async def __call__(self, seconds: float = 1.0, value: Any = None) -> Any:
        self.running += 1
        self.runs += 1
        self.order.append(value)
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(seconds)
            return value
        finally:
            self.running -= 1
