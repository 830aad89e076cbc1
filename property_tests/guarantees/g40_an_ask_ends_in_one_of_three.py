"""Guarantee 40: An ask ends in exactly one of reply, end of the callee, timeout."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import trio
import trio.testing

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessNotFound,
    ProcessTimeout,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


class Get(trio_actors.Ask[int]):
    """A request."""


@guarantee
def an_ask_ends_exactly_once() -> None:
    """A reply, the callee's end, or the timeout; a late reply harms nobody."""

    class Slow(trio_actors.Server):
        def init(self, delay: float) -> None:
            self.delay = delay

        @trio_actors.handles(Get)
        async def get(self, request: Get) -> int:
            if self.delay < 0:
                raise ValueError("no")
            await trio.sleep(self.delay)
            return 7

    @explore(schedules=times(10), report=("text",))
    async def test(sim: Sim) -> None:
        quick = await sim.spawn(Slow, 1.0)
        slow = await sim.spawn(Slow, 50.0)
        broken = await sim.spawn(Slow, -1.0)
        assert await sim.node.ask(quick, Get(), timeout=40) == 7
        with pytest.raises(ProcessTimeout):
            await sim.node.ask(slow, Get(), timeout=4)
        with pytest.raises(ProcessUnavailable, match="ended before it replied"):
            await sim.node.ask(broken, Get(), timeout=40)
        await sim.run_for(100)
        assert await sim.node.ask(slow, Get(), timeout=300) == 7

    test()


class Echo(trio_actors.Ask[int]):
    """Answered with its own number, after so many seconds."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number = number
        self.seconds = seconds


class AtOnce(trio_actors.Server):
    """Answers in the caller's turn, or from the mailbox."""

    @trio_actors.handles(Echo)
    def echo(self, request: Echo) -> int:
        return request.number


class InTime(trio_actors.Server):
    """Takes its time, one request after the other."""

    @trio_actors.handles(Echo)
    async def echo(self, request: Echo) -> int:
        await trio.sleep(request.seconds)
        return request.number


class InAnyOrder(trio_actors.Server):
    """Puts requests aside, and answers each when its time has come."""

    @trio_actors.handles(Echo)
    def echo(self, request: Echo) -> None:
        self.ctx.start_task(self.later, self.defer(), request)

    async def later(self, kept: trio_actors.Request, request: Echo) -> None:
        await trio.sleep(request.seconds)
        kept.reply(request.number)


async def by_hand(ctx: ProcessContext) -> None:
    """Reads requests from its inbox, and forgets every third."""
    async for request in ctx.inbox:
        if request.payload.number % 3:
            await trio.sleep(request.payload.seconds)
            request.reply(request.payload.number)
        del request  # or it would be kept until the next one comes


@guarantee
def an_answer_belongs_to_its_ask() -> None:
    """Whoever is asked in whichever way, whoever gives up meanwhile, whatever ends."""
    kinds: list[Any] = [AtOnce, InTime, InAnyOrder, by_hand]
    seen: Counter[str] = Counter()

    async def run(rng: random.Random) -> None:
        ends: Counter[int] = Counter()
        asked = 0

        async def client(node: trio_actors.Node, pids: list[str], numbers: range) -> None:
            for number in numbers:
                await trio.sleep(rng.choice([0, 0, 1, 2]))
                request = Echo(number, rng.choice([0, 1, 3]))
                timeout = rng.choice([None, None, 2.0, 5.0])
                how = "abandoned"
                patience = rng.choice([1, 4, 1000])
                with trio.move_on_after(patience):
                    try:
                        assert await node.ask(rng.choice(pids), request, timeout=timeout) == number
                        how = "answered"
                    except (ProcessTimeout, ProcessUnavailable, ProcessNotFound) as error:
                        how = type(error).__name__
                assert (how, patience) != ("abandoned", 1000)
                ends[number] += 1
                seen[how] += 1

        async with trio_actors.open_node() as node, node.open_host("a:h", drain=0) as host:
            pids: list[str] = [host.spawn_soon(kind) for kind in kinds]
            async with trio.open_nursery() as nursery:
                for first in range(0, 60, 10):
                    nursery.start_soon(client, node, pids, range(first, first + 10))
                    asked += 10
                for pid in rng.sample(pids, 2):
                    await trio.sleep(rng.choice([3, 6]))
                    rng.choice([node.terminate, node.cancel])(pid)
                    host.spawn_soon(rng.choice(kinds))
        assert (len(ends), set(ends.values())) == (asked, {1})

    for seed in range(times(40)):
        trio.run(run, random.Random(seed), clock=trio.testing.MockClock(autojump_threshold=0))
    assert set(seen) == {
        "answered",
        "abandoned",
        "ProcessTimeout",
        "ProcessUnavailable",
        "ProcessNotFound",
    }
