"""examples/swarm: the tickers tick, and the figures add up."""

import json
from pathlib import Path

import trio
from swarm.figures import figures

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


def test_figures() -> None:
    """Quantiles by rank, one JSON object"""
    result = figures(3, 2.0, [float(i) for i in range(100)], (50.0, 51.24), 0.004)
    assert (result.late_p50, result.late_p99, result.late_max) == (50.0, 99.0, 99.0)
    assert json.loads(result.as_json())["memory_last"] == 51.2
    assert result.cpu_per_tick == 40.0
    assert "99 %" in result.as_text()
    assert figures(0, 1.0, [], (1.0, 1.0)).late_p99 == 0.0
