"""examples/swarm: the tickers tick, and the figures add up."""

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import trio
from hypothesis import given
from hypothesis import strategies as st
from swarm.figures import LONGEST, Lateness, figures

from registry import open_app
from trio_actors import ProcessContext

APP = Path(__file__).parents[2] / "examples" / "swarm"


async def test_tickers_tick_on_time(autojump_clock: trio.testing.MockClock) -> None:
    """30 tickers for 12 virtual seconds: every tick reported, none late on a virtual clock"""
    late: list[float] = []

    async def collector(ctx: ProcessContext) -> None:
        for _ in range(30):
            await ctx.spawn("swarm:ticker", ctx.pid, host="swarm:processes")
        with trio.move_on_after(12):
            async for message in ctx.inbox:
                late.append(message.payload)

    async with open_app(APP) as app:
        app.node.wall_time = trio.current_time
        await app.node.call(collector, host="swarm:processes")
    assert 30 * 4 - 30 <= len(late) <= 30 * 24
    assert max(abs(item) for item in late) < 5


def lateness(values: Iterable[float]) -> Lateness:
    late = Lateness()
    for value in values:
        late.add(value)
    return late


def test_figures() -> None:
    """Quantiles by rank, one JSON object"""
    result = figures(3, 2.0, lateness(float(i) for i in range(100)), (50.0, 51.24), 0.004)
    assert (result.late_p50, result.late_p99, result.late_max) == (50.0, 99.0, 99.0)
    assert json.loads(result.as_json())["memory_last"] == 51.2
    assert result.cpu_per_tick == 40.0
    assert "99 %" in result.as_text()
    assert figures(0, 1.0, Lateness(), (1.0, 1.0)).late_p99 == 0.0


@given(st.lists(st.floats(-50, LONGEST), min_size=1), st.floats(0, 1))
def test_lateness_is_that_of_the_sorted_list(values: list[float], part: float) -> None:
    """A quantile out of the counts is that of the list, to 0.1 ms; before its time is not late"""
    ordered = sorted(max(0.0, value) for value in values)
    exact = ordered[min(len(ordered) - 1, int(len(ordered) * part))]
    late = lateness(values)
    assert late.quantile(part) == round(exact * 10) / 10
    assert (late.ticks, late.latest) == (len(values), ordered[-1])


def test_the_lateness_takes_no_more_memory() -> None:
    """A hundred thousand ticks take what one takes, and the latest of all is kept however late"""
    late = lateness([3.0])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for tick in range(100_000):
        late.add(tick % 3000 / 7)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    late.add(12_345.6)
    assert grown < 2000
    assert (late.quantile(1.0), late.latest) == (LONGEST, 12_345.6)
