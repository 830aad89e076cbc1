"""Guarantee 56: No cancellation leaks."""

from __future__ import annotations

import logging
from typing import Any

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import drawn, times
from trio_actors import ProcessContext, ProcessError, open_node
from trio_actors.functions import Future, PythonCallee, open_functions
from trio_actors.testing import Faults, Sim, explore

FEW = drawn(500)


@guarantee
def a_killed_caller_leaves_nothing_in_a_pool() -> None:
    """F15, PL8: no worker, no place in the line; whoever is killed, and when."""

    @explore(
        schedules=times(40),
        faults=Faults(kill=0.3, delay=0.1, seconds=3, only=("caller*",)),
        report=("text",),
        check_determinism=0,
    )
    async def test(sim: Sim) -> None:
        async def work() -> None:
            await trio.sleep(2)

        async def caller(ctx: ProcessContext) -> None:
            for _ in range(2):
                await ctx.inbox.receive()
                try:
                    await ctx.call_function("app:work")
                except ProcessError:
                    continue

        async with open_functions(sim.node) as functions:
            functions.register("app:work", work, pool={"workers": 2, "buffer": 1})
            for number in range(5):
                await sim.spawn(caller, name=f"caller{number}")
                for _ in range(2):
                    sim.send(f"caller{number}", "now")
            await sim.run_for(100)
            stats = functions.statistics("app:work")
            assert (stats.busy, stats.queued) == (0, 0)

    test()


RETRY = {"retry": {"max_attempts": 3, "initial_delay": "1s", "jitter": 0}}
pools = st.sampled_from(
    [
        {"type": "inline"},
        {"workers": 2},
        {"workers": 1, "buffer": 1, "overflow": "reject"},
        {"max_size": 2, "idle_timeout": "5s"},
        {"type": "adaptive", "max_size": 5},
    ]
)
OTHERS = ["end", "fail", "replace", "break"]
# What is done, and to the how manieth; several things may be done before anybody runs.
programs = st.lists(
    st.tuples(
        st.sampled_from([*OTHERS, *2 * ["call", "give up", "step", "run", "sleep"]]),
        st.integers(0, 9),
    ),
    min_size=3,
    max_size=25,
)


class Workshop:
    """A function whose workers are counted: each is made, and each is dropped once."""

    def __init__(self) -> None:
        self.made: list[Workers] = []
        self.running: list[trio.Event] = []
        self.failing: set[trio.Event] = set()
        self.broken = 0  # so many workers cannot be made
        self.given_up: set[int] = set()
        self.too_late: list[int] = []  # those that began after they were given up

    async def work(self, number: int) -> int:
        """Runs until it is told to end."""
        if number in self.given_up:
            self.too_late.append(number)
        end = trio.Event()
        self.running.append(end)
        try:
            await end.wait()
        finally:
            self.running.remove(end)
        if end in self.failing:
            raise RuntimeError("told to fail")
        return number

    def version(self) -> Workers:
        """The function as it is installed from now on."""
        self.made.append(Workers(self))
        return self.made[-1]


class Workers(PythonCallee):
    """One version of the function."""

    __slots__ = ("alive", "shop")

    def __init__(self, shop: Workshop) -> None:
        super().__init__(shop.work)
        self.shop = shop
        self.alive: list[object] = []

    def make_worker(self) -> Any:
        """Notes it, or fails."""
        if self.shop.broken:
            self.shop.broken -= 1
            raise OSError("no room")
        self.alive.append(object())
        return self.alive[-1]

    def drop_worker(self, payload: Any) -> None:
        """Fails for one that was dropped before."""
        self.alive.remove(payload)


@guarantee
def every_worker_is_kept_or_dropped() -> None:
    """PL8-PL10, PL16-PL20, FU9: calls given up; pools that resize and are replaced."""

    @FEW
    @given(pool=pools, program=programs)
    def test(pool: dict[str, Any], program: list[tuple[str, int]]) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(_play, pool, program, clock=clock)

    log = logging.getLogger("trio_actors.functions")
    log.disabled = True  # of the failures that are played
    try:
        test()
    finally:
        log.disabled = False


async def _play(pool: dict[str, Any], program: list[tuple[str, int]]) -> None:
    shop = Workshop()
    futures: list[Future] = []
    async with open_node() as node, open_functions(node) as functions:
        functions.install("app:f", shop.version(), pool=pool)
        for act, number in program:
            match act:
                case "call":
                    for _ in range(1 + number // 3):
                        # With options it passes the chain, without them it is in the line at once.
                        caller = functions.new().with_options(RETRY) if number % 2 else functions
                        futures.append(caller.async_("app:f", len(futures)))
                case "end" | "fail" if shop.running:
                    end = shop.running[number % len(shop.running)]
                    if act == "fail":
                        shop.failing.add(end)
                    end.set()
                case "give up" if futures:
                    futures[number % len(futures)].cancel()
                    shop.given_up.add(number % len(futures))
                case "replace":
                    functions.install("app:f", shop.version(), pool=pool)
                case "break":
                    shop.broken += 1
                case "step":
                    await trio.lowlevel.checkpoint()  # an end gives a worker to who waits
                case "run":
                    await trio.testing.wait_all_tasks_blocked()
                case "sleep":
                    await trio.sleep(number / 2)  # also to a moment at which a pool resizes
            stats = functions.statistics("app:f")
            assert 0 <= stats.busy <= stats.workers
            assert len(shop.running) <= sum(len(version.alive) for version in shop.made)
        shop.broken = 0
        for _ in range(3 * len(futures)):  # each attempt of each call
            for end in shop.running:
                end.set()
            await trio.sleep(1)
        assert all(future.is_complete() or future.is_canceled() for future in futures)
        await trio.sleep(60)
        stats = functions.statistics("app:f")
        assert (shop.running, shop.too_late, stats.busy, stats.queued) == ([], [], 0, 0)
        assert [version.alive for version in shop.made[:-1]] == [[]] * (len(shop.made) - 1)
        left = {"static": pool.get("workers"), "lazy": 0}.get(stats.type, 1)
        assert stats.workers == left
        assert len(shop.made[-1].alive) <= left
    assert [version.alive for version in shop.made] == [[]] * len(shop.made)
