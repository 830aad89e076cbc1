"""DPOR covers exactly the orders that differ: compared with naive enumeration (testing.md §5)."""

import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_actors import Pid, ProcessContext
from trio_actors.functions import open_functions
from trio_actors.testing import MessageId, ScheduleFailure, Sim, explore
from trio_actors.testing.determinism import repeatable
from trio_actors.testing.dpor import Dpor, Made, Order, trace_class
from trio_actors.testing.footprint import conflict
from trio_actors.testing.policies import ByPlan
from trio_actors.testing.run import Options, Run, run_in_trio
from trio_actors.testing.search import steps_of
from trio_actors.testing.stage import Stage

Program = list[list[tuple[int, int]]]  # for each actor: per message it handles (to whom, reply)


def random_system(seed: int):
    """A test of up to three actors that send to each other what a random table says."""
    rng = random.Random(seed)
    actors = rng.randint(2, 3)
    tables = [
        [
            [rng.randrange(actors) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
            for _ in range(rng.randint(1, 2))
        ]
        for _ in range(actors)
    ]
    impatient = rng.choice([None, None, 0])  # gives up waiting after a second
    first = [rng.randrange(actors) for _ in range(rng.randint(2, 3))]

    async def actor(ctx, index):
        for targets in tables[index]:
            if index == impatient:
                with trio.move_on_after(1):
                    await ctx.inbox.receive()
            else:
                await ctx.inbox.receive()
            for target in targets:
                if f"a{target}" in ctx.node.names.by_name:
                    ctx.send(f"a{target}", "m")

    async def test(sim: Sim) -> None:
        for index in range(actors):
            await sim.spawn(actor, index, name=f"a{index}")
        for target in first:
            sim.send(f"a{target}", "go")
        await sim.settle()

    return test


async def run_plan(test, stage: Stage, prefix, sleep):
    outcome = await Run(test, ByPlan(prefix, sleep), Options(), tables=True).run(stage)
    assert outcome.failure is None
    return outcome


async def by_dpor(test, stage: Stage) -> list:
    """The classes that DPOR runs, in order."""
    dpor, classes = Dpor(), []
    while (planned := dpor.next_plan()) is not None:
        outcome = await run_plan(test, stage, *planned)
        run = steps_of(outcome)
        dpor.learn(run, complete=not outcome.covered)
        if not outcome.covered:
            classes.append(trace_class(run))
    return classes


async def by_enumeration(test, stage: Stage, limit: int) -> set | None:
    """The classes of all orders; None if there are more orders than `limit`."""
    classes, todo, runs = set(), [[]], 0
    while todo:
        prefix = todo.pop()
        runs += 1
        if runs > limit:
            return None
        outcome = await run_plan(test, stage, prefix, {})
        run: list[Made] = steps_of(outcome)
        classes.add(trace_class(run))
        for index in range(len(prefix), len(run)):
            made = run[index]
            for choice in made.enabled:
                if choice != made.choice:
                    todo.append([m.choice for m in run[:index]] + [choice])
    return classes


@pytest.mark.parametrize("part", range(4))
def test_dpor_runs_each_class_of_orders_once(part: int) -> None:
    """The set of traces equals that of naive enumeration, on random systems of up to 3 actors."""
    compared = 0

    async def compare(stage: Stage) -> None:
        nonlocal compared
        for seed in range(part * 10, part * 10 + 10):
            test = random_system(seed)
            all_classes = await by_enumeration(test, stage, limit=150)
            if all_classes is None:
                continue
            found = await by_dpor(test, stage)
            assert set(found) == all_classes, f"system {seed}"
            assert len(found) == len(set(found)), f"system {seed}: a class was run twice"
            compared += 1

    with repeatable():
        run_in_trio(compare)
    assert compared >= 3


def test_who_is_woken_without_a_message_meets_what_arrives() -> None:
    """The end of q wakes p, which then looks whether it has mail: the order of both matters."""

    @explore(strategy="dpor", report=("text",))
    async def test(sim: Sim) -> None:
        got: list[str] = []

        async def q(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()

        async def p(ctx: ProcessContext, other: Pid) -> None:
            inbox = ctx.inbox
            await ctx.node.wait(other)
            got.append(inbox.receive_nowait().topic)

        await sim.spawn(p, await sim.spawn(q, name="q"), name="p")
        await sim.run_for(0)
        sim.send("p", "hello")
        sim.send("q", "end")
        await sim.settle()
        assert got == ["hello"]

    with pytest.raises(ScheduleFailure) as caught:
        test()
    assert caught.value.token == "test>p.1+1"


@explore(check_determinism=1.0, report=("text",))
async def test_runs_that_are_looked_at_closely_are_the_same_runs(sim: Sim) -> None:
    """TS14: DPOR looks whose tasks run, a replay does not; a call gets no PID from being seen."""
    going = trio.Event()

    async def function() -> None:
        await going.wait()

    async def caller(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        with trio.move_on_after(5):
            await ctx.call_function("app:f")

    async with open_functions(sim.node) as functions:
        functions.register("app:f", function, pool={"workers": 1, "buffer": 1})
        for name in ("a", "b"):
            await sim.spawn(caller, name=name)
            sim.send(name, "now")
        await sim.run_for(1)
        going.set()
        await sim.run_for(1)


@st.composite
def made_runs(draw) -> list[Made]:
    """Runs of up to nine steps between three actors; some are time that passes."""
    run: list[Made] = []
    numbers: dict[tuple[str, str], int] = {}
    actor = st.sampled_from("abc")
    for index in range(draw(st.integers(0, 9))):
        if draw(st.integers(0, 5)) == 0:
            run.append(Made(None, [], {("time", ""): True}, 0))
            continue
        pair = draw(actor), draw(actor)
        numbers[pair] = numbers.get(pair, 0) + 1
        more = draw(st.dictionaries(st.tuples(st.just("name"), actor), st.booleans(), max_size=2))
        footprint = {("run", pair[1]): True, **more}
        posted_in = draw(st.integers(0, index))
        run.append(Made(MessageId(*pair, numbers[pair]), [], footprint, posted_in))
    return run


def must_precede(run: list[Made], i: int, j: int, *, forced: bool) -> bool:
    """Step i comes before step j > i: by the definition, one pair of steps after another.

    With `forced` only because of who posted what, and of the order within a pair.
    """
    a, b = run[i], run[j]
    if a.choice is not None and b.choice is not None and a.choice[:2] == b.choice[:2]:
        return True
    if b.posted_in:
        poster = b.posted_in - 1
        if i == poster or (i < poster and must_precede(run, i, poster, forced=False)):
            return True
    if forced:
        pairs = [k for k in range(i + 1, j) if b.choice and run[k].choice is not None]
        same = [k for k in pairs if run[k].choice[:2] == b.choice[:2]]
        return any(must_precede(run, i, k, forced=False) for k in same)
    if conflict(a.footprint, b.footprint):
        return True
    return any(
        must_precede(run, i, k, forced=False) and must_precede(run, k, j, forced=False)
        for k in range(i + 1, j)
    )


@given(run=made_runs())
def test_the_order_of_steps_is_the_one_of_the_definition(run: list[Made]) -> None:
    """What comes before what, and which steps race."""
    order = Order(run)
    for j in range(len(run)):
        before = [i for i in range(j) if must_precede(run, i, j, forced=False)]
        assert order.before[j] == sum(1 << i for i in before)
        races = [
            i
            for i in before
            if conflict(run[i].footprint, run[j].footprint)
            and not must_precede(run, i, j, forced=True)
            and not any(
                k in before and must_precede(run, i, k, forced=False) for k in range(i + 1, j)
            )
        ]
        assert order.races[j] == sum(1 << i for i in races)
