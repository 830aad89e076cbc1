"""How fast the test harness explores: schedules and state machines per CPU second.

`python benchmarks/schedules.py` measures three things in CPU time of this process:

- schedules per second for 3 processes and 12 messages, for each strategy (goal: 1,000);
- the same for a run of one process without a message: what a run costs at least;
- 200 state machines of 20 async rules each (goal: under 5 s).

Other programs on the machine slow this one down also in CPU time, so the best of some rounds is
shown, and beside it the median as a multiple of one turn of Trio's loop, measured in turns with it.
`--profile` prints where the time of the first goes.
"""

from __future__ import annotations

import cProfile
import gc
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import trio

from trio_actors import ProcessContext
from trio_actors.testing import Sim, explore
from trio_actors.testing.explore import settings

ROUNDS = 9
SCHEDULES = 300
TURNS = 3000
STRATEGIES = ("random", "pct", "pos", "dpor", "auto")


async def echo(ctx: ProcessContext) -> None:
    """Sends six messages back and ends."""
    for _ in range(6):
        message = await ctx.inbox.receive()
        ctx.send(message.payload, "echo")


async def client(ctx: ProcessContext) -> None:
    """Three requests, each answered before the next: with echo and two clients 12 messages."""
    for _ in range(3):
        ctx.send("echo", "ping", ctx.pid)
        await ctx.inbox.receive()


async def system(sim: Sim) -> None:
    """3 processes and 12 messages."""
    await sim.spawn(echo, name="echo")
    await sim.spawn(client, name="a")
    await sim.spawn(client, name="b")
    await sim.settle()


async def nothing(sim: Sim) -> None:
    """One process that ends at once."""

    async def brief(ctx: ProcessContext) -> None:
        pass

    await sim.spawn(brief)


def a_turn() -> float:
    """CPU seconds of one turn of Trio's loop with one task: the floor."""

    async def main() -> float:
        began = time.process_time()
        for _ in range(TURNS):
            await trio.lowlevel.checkpoint()
        return (time.process_time() - began) / TURNS

    return trio.run(main)


def rates(body: Callable[[Sim], Any], strategy: str) -> str:
    """The best rate of some rounds, and the median cost in turns; checks of determinism included.

    DPOR ends when all orders are covered, so its rounds are short.
    """
    costs, ratios = [], []
    for seed in range(ROUNDS):
        test = explore(schedules=SCHEDULES, strategy=strategy, seed=seed, report=("text",))(body)
        gc.collect()
        floor = a_turn()
        began = time.process_time()
        test()
        cost = (time.process_time() - began) / settings.explored[body.__qualname__].runs
        costs.append(cost)
        ratios.append(cost / min(floor, a_turn()))
    return f"{1 / min(costs):6.0f} per CPU second, {statistics.median(ratios):4.0f} turns each"


def machines() -> float:
    """CPU seconds of 200 state machines of 20 async rules."""
    from hypothesis import HealthCheck, Phase
    from hypothesis import settings as hypothesis_settings
    from hypothesis import strategies as st

    from trio_actors.testing.machine import StateMachine, rule, run_state_machine_as_test

    async def store(ctx: ProcessContext) -> None:
        data: dict[int, int] = {}
        async for message in ctx.inbox:
            key, value = message.payload
            data[key] = value

    class Machine(StateMachine):
        async def setup(self) -> None:
            await self.sim.spawn(store, name="store")

        @rule(key=st.integers(0, 3), value=st.integers(0, 9))
        async def put(self, key: int, value: int) -> None:
            self.sim.send("store", "put", key, value)

    wanted = hypothesis_settings(
        max_examples=200,
        stateful_step_count=20,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    gc.collect()
    began = time.process_time()
    run_state_machine_as_test(Machine, settings=wanted)
    return time.process_time() - began


def main() -> None:
    """Prints the figures."""
    if "--profile" in sys.argv:
        profile = cProfile.Profile()
        test = explore(schedules=SCHEDULES, strategy="pct", report=("text",))(system)
        test()
        profile.runcall(test)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    for strategy in STRATEGIES:
        print(f"3 processes, 12 messages, {strategy:>6}: {rates(system, strategy)}")
    print(f"1 process, no message,    random: {rates(nothing, 'random')}")
    print(f"200 state machines of 20 rules:   {machines():6.2f} CPU seconds")


if __name__ == "__main__":
    main()
