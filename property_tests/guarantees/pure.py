"""What is promised about the pure parts: durations, timers, PIDs, decisions of supervisors."""

from __future__ import annotations

import random

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import trio_actors
from property_tests.guarantees.registry import guarantee
from supervision.intensity import IntensityWindow
from trio_actors import ProcessInvalid, format_duration, parse_duration
from trio_actors.testing import Sim, explore


@guarantee
def durations_read_as_written() -> None:
    """§9.4, both ways, and what is no duration."""
    rng = random.Random(7)
    known = {"1h30m": 5400 * 10**9, "1.5h": 5400 * 10**9, "-2ms": -2 * 10**6, "0": 0, "3us": 3000}
    for text, value in known.items():
        assert parse_duration(text) == value
    for _ in range(300):
        value = rng.choice([rng.randrange(10**4), rng.randrange(10**15)])
        assert parse_duration(format_duration(value)) == value
    assert format_duration(5400 * 10**9) == "1h30m0s"
    for wrong in ("5", "abc", "1d", "", "h", "1h-2m"):
        with pytest.raises(ProcessInvalid, match="invalid duration"):
            parse_duration(wrong)


@guarantee
def timers_fire_in_order_and_never_after_cancel() -> None:
    """TS2: by time, then by age; a cancelled one is final."""

    async def main() -> None:
        async with trio_actors.open_node() as node:
            fired: list[str] = []
            clock = node.clock
            now = node.now()
            clock.at(now + 3, lambda: fired.append("c"))
            clock.at(now + 1, lambda: fired.append("a1"))
            clock.at(now + 1, lambda: fired.append("a2"))
            late = clock.at(now + 2, lambda: fired.append("b"))
            assert late.cancel()
            assert not late.cancel()
            await trio.sleep(2.5)
            assert fired == ["a1", "a2"]
            await trio.sleep(1)
            assert fired == ["a1", "a2", "c"]
            assert not late.pending

    trio.run(main, clock=MockClock(autojump_threshold=0))


@guarantee
def pids_are_new_and_readable() -> None:
    """P1-P4."""

    async def main() -> None:
        async with trio_actors.open_node("n1") as node:
            seen = [node.new_pid("a:b") for _ in range(3)]
            assert seen == ["{n1@a:b|0x00001}", "{n1@a:b|0x00002}", "{n1@a:b|0x00003}"]
            assert all(trio_actors.is_pid(pid) for pid in seen)
            for text in ("a", "{a}", "{|1}", "{a|}", "{a|b|c}", "{a|b"):
                assert not trio_actors.is_pid(text)

    trio.run(main)


@guarantee
def the_simulation_itself_is_honest() -> None:
    """Invariants on a busy system with kills: conservation, one EXIT, names, no orphan."""
    from trio_actors.testing import Faults

    @explore(schedules=40, faults=Faults(kill=0.1), report=("text",))
    async def test(sim: Sim) -> None:
        async def child(ctx: trio_actors.ProcessContext) -> None:
            ctx.register(f"name of {ctx.pid}")
            async for message in ctx.inbox:
                ctx.send(message.payload, "pong")

        async def parent(ctx: trio_actors.ProcessContext) -> None:
            ctx.options.trap_links = True
            for _ in range(3):
                pid = await ctx.spawn(child, monitor=True, link=True)
                ctx.send(pid, "ping", ctx.pid)
            for _ in range(3):
                with trio.move_on_after(1):
                    await ctx.inbox.receive()

        await sim.spawn(parent, name="parent")
        await sim.run_for(5)

    test()


@guarantee
def an_intensity_window_counts_the_last_period() -> None:
    """SU13: more than so many within the period, both ends included."""
    rng = random.Random(3)
    for _ in range(300):
        limit, period = rng.randrange(4), rng.choice([1.0, 5.0])
        window = IntensityWindow(limit, period)
        times: list[float] = []
        now = 0.0
        for _ in range(12):
            now += rng.choice([0.0, 0.5, 1.0, 3.0, 6.0])
            times.append(now)
            recent = [time for time in times if now - period <= time]
            assert window.add(now) == (len(recent) <= limit)


@guarantee
def a_supervisor_decides_as_its_model() -> None:
    """SU3-SU30: `supervision.decide` against `models.supervisor`, on fewer histories."""
    from property_tests.test_supervisor_decisions import test_decide_does_what_the_model_does

    inner = test_decide_does_what_the_model_does.hypothesis.inner_test  # type: ignore[attr-defined]
    settings(
        max_examples=150,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(st.data())(inner))()
