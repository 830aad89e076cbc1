"""Processes that do what a message says, and note what they see."""

from __future__ import annotations

from collections import Counter
from typing import Any

import trio

from trio_actors import ProcessContext, ProcessError
from trio_actors.testing import Sim


class Puppets:
    """Some processes under the names p0, p1, ...; commands are carried out one at a time."""

    def __init__(self, sim: Sim) -> None:
        self.sim = sim
        self.pids: list[str] = []
        self.events: dict[int, list[tuple[str, str]]] = {}
        self.answers: list[Any] = []

    async def make(self, count: int) -> None:
        """Starts them."""
        for index in range(count):
            self.events[index] = []
            self.pids.append(await self.sim.spawn(self._main, index, name=f"p{index}"))
        await self.sim.settle()

    async def do(self, who: int, command: str, *args: Any) -> Any:
        """Carries out one command to its end; returns its value, or the kind of its error."""
        self.answers.clear()
        self.sim.send(self.pids[who], "do", (command, *args))
        await self.sim.settle()
        return self.answers[0] if self.answers else None

    def alive(self) -> set[int]:
        """Who lives."""
        return {i for i, pid in enumerate(self.pids) if pid in self.sim.node.processes}

    def counted(self, who: int) -> Counter[tuple[str, int]]:
        """The events that one has got."""
        return Counter((kind, self.pids.index(pid)) for kind, pid in self.events[who])

    async def _main(self, ctx: ProcessContext, index: int) -> None:
        async def watch() -> None:
            async for event in ctx.events:
                self.events[index].append((str(event.kind), event.sender))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            async for message in ctx.inbox:
                command, *args = message.payload
                if command == "return":
                    nursery.cancel_scope.cancel()
                    return
                if command == "fail":
                    raise ValueError("told to fail")
                try:
                    self.answers.append(self._perform(ctx, command, args))
                except ProcessError as error:
                    self.answers.append(str(error.kind))

    def _perform(self, ctx: ProcessContext, command: str, args: list[Any]) -> Any:
        if command == "trap":
            ctx.options.trap_links = bool(args[0] % 2)
            return None
        if command in ("register", "unregister"):
            return getattr(ctx, command)(args[0])
        return getattr(ctx, command)(self.pids[args[0]])
