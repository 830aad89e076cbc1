"""Draws pools under load: `python docs/make_pool_plots.py` writes docs/images/pool-*.svg.

The data come from `trio_actors.functions.simulation`, which drives the code that the pools run. The
pictures are SVG made by hand: lines, a few labels, no library.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from trio_actors.functions import simulation as sim
from trio_actors.functions.pool_config import parse_pool

OUT = Path(__file__).parent / "images"
DURATION = 150.0
SIZE = 32
WIDTH, HEIGHT, LEFT, TOP = 720, 150, 56, 30
COLOURS = {"adaptive": "#1f77b4", "static 32": "#888888", "static 1": "#d62728"}
CURVES: dict[str, tuple[str, sim.Load, Callable[[], sim.Service]]] = {
    "step": ("Step from 10 to 200 calls/s of 50 ms", sim.step_load(10, 200, at=30),
             lambda: sim.fixed_service(0.05)),
    "burst": ("Burst of 300 calls/s for 20 s, 50 ms each",
              sim.burst_load(10, 300, at=30, length=20), lambda: sim.fixed_service(0.05)),
    "ramp": ("Ramp from 5 to 250 calls/s, 50 ms each", sim.ramp_load(5, 250, start=10, end=100),
             lambda: sim.fixed_service(0.05)),
    "oscillation": ("120 ± 100 calls/s, period 40 s, 50 ms each",
                    sim.oscillating_load(120, 100, period=40), lambda: sim.fixed_service(0.05)),
    "slow": ("Step from 1 to 8 calls/s of 2 s", sim.step_load(1, 8, at=20),
             lambda: sim.fixed_service(2.0)),
    "slowing": ("150 calls/s of 50 ms, 5 % slower for each call that runs beside",
                sim.steady_load(150), lambda: sim.slowing_service(0.05, 0.05)),
}  # fmt: skip
POOLS = {
    "adaptive": {"type": "adaptive", "max_size": SIZE},
    "static 32": {"workers": SIZE},
    "static 1": {"workers": 1},
}
Points = Sequence[tuple[float, float]]


def latency_points(run: sim.Simulation) -> Points:
    """Mean latency per second of arrival."""
    sums: dict[int, list[float]] = {}
    for arrival, latency in run.latencies:
        sums.setdefault(int(arrival), []).append(latency)
    return [(second, sum(x) / len(x)) for second, x in sorted(sums.items())]


def polyline(points: Points, top: float, most: float, colour: str) -> str:
    """A line; values above `most` run along the upper edge."""
    scale = (WIDTH - LEFT - 10) / DURATION
    text = " ".join(
        f"{LEFT + x * scale:.1f},{top + HEIGHT - min(y / most, 1.0) * HEIGHT:.1f}"
        for x, y in points
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{text}"/>'


def panel(title: str, top: float, most: float, unit: str, lines: dict[str, Points]) -> list[str]:
    """One diagram with its axes."""
    right, bottom = WIDTH - 10, top + HEIGHT
    parts = [
        f'<text x="{LEFT}" y="{top - 8}" class="t">{title}</text>',
        f'<path d="M{LEFT},{top} V{bottom} H{right}" fill="none" stroke="#999"/>',
        f'<text x="{LEFT - 6}" y="{top + 10}" class="n">{most:g}{unit}</text>',
        f'<text x="{LEFT - 6}" y="{bottom}" class="n">0</text>',
    ]
    for second in range(0, int(DURATION) + 1, 30):
        x = LEFT + second * (right - LEFT) / DURATION
        parts.append(f'<text x="{x:.0f}" y="{bottom + 14}" class="m">{second} s</text>')
    parts += [polyline(points, top, most, COLOURS[name]) for name, points in lines.items()]
    return parts


def picture(name: str) -> tuple[str, str]:
    """The SVG of one curve and its row of the table."""
    title, load, service = CURVES[name]
    runs = {
        label: sim.simulate(
            parse_pool(block), load, service(), duration=DURATION, rng=random.Random(1)
        )
        for label, block in POOLS.items()
    }
    workers = {
        label: [(sample.time, float(sample.workers)) for sample in run.samples]
        for label, run in runs.items()
    }
    latencies = {label: latency_points(run) for label, run in runs.items()}
    scale = 4.0 if name == "slow" else 1.0
    service_time = 5.0 if name == "slow" else 0.05
    most = max(scale, service_time * 2)
    second = TOP + HEIGHT + 60
    body = panel(f"{title}: workers", TOP, SIZE + 4, "", workers)
    body += panel("latency (mean per second; beyond the scale at the edge)", second, most, " s",
                  latencies)  # fmt: skip
    for index, (label, colour) in enumerate(COLOURS.items()):
        body.append(
            f'<text x="{WIDTH - 260 + index * 90}" y="{TOP - 8}" fill="{colour}" class="k">'
            f"{label}</text>"
        )
    height = second + HEIGHT + 30
    style = (
        "text{font:12px sans-serif;fill:#555}.n{text-anchor:end}.m{text-anchor:middle}"
        ".t{font-weight:bold}"
    )
    colours = "".join(f'.k[fill="{c}"]{{fill:{c}}}' for c in COLOURS.values())
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">'
        f"<style>{style}{colours}</style>" + "".join(body) + "</svg>\n"
    )
    adaptive, full, one = (runs[label] for label in POOLS)
    row = (
        f"| {name} | {adaptive.mean_workers(DURATION):.1f} | {SIZE} | "
        f"{adaptive.mean_latency():.2f} | {full.mean_latency():.2f} | {one.mean_latency():.1f} | "
        f"{adaptive.reversals()} |"
    )
    return svg, row


def main() -> None:
    """Writes all pictures and prints the table of the page."""
    OUT.mkdir(exist_ok=True)
    print("| Load | Workers, mean | of | Latency, s | static 32 | static 1 | Reversals |")
    print("|---|---|---|---|---|---|---|")
    for name in CURVES:
        svg, row = picture(name)
        (OUT / f"pool-{name}.svg").write_text(svg, encoding="utf-8")
        print(row)


if __name__ == "__main__":
    main()
