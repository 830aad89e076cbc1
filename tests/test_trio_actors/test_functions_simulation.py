"""Pools under load curves in virtual time. Rules: AP11, FZ18, FZ19, and the aims of the pool."""

import random
from collections.abc import Callable

import pytest

from trio_actors.functions import simulation as sim
from trio_actors.functions.pool_config import parse_pool

DURATION = 150.0
SIZE = 32
CURVES: dict[str, tuple[sim.Load, Callable[[], sim.Service]]] = {
    "step": (sim.step_load(10, 200, at=30), lambda: sim.fixed_service(0.05)),
    "burst": (sim.burst_load(10, 300, at=30, length=20), lambda: sim.fixed_service(0.05)),
    "ramp": (sim.ramp_load(5, 250, start=10, end=100), lambda: sim.fixed_service(0.05)),
    "oscillation": (sim.oscillating_load(120, 100, period=40), lambda: sim.fixed_service(0.05)),
    "slow callee": (sim.step_load(1, 8, at=20), lambda: sim.fixed_service(2.0)),
    "slower with concurrency": (sim.steady_load(150), lambda: sim.slowing_service(0.05, 0.05)),
}


ONE_WAY = ["step", "ramp", "slow callee", "slower with concurrency"]


def run(pool: dict[str, object], curve: str, seed: int = 1) -> sim.Simulation:
    load, service = CURVES[curve]
    rng = random.Random(seed)
    return sim.simulate(parse_pool(pool), load, service(), duration=DURATION, rng=rng)


@pytest.mark.parametrize("curve", CURVES)
def test_adaptive_beats_full_size_in_memory_and_one_worker_in_latency(curve: str) -> None:
    """Aim: less memory than static max_size, a fraction of the latency of static 1."""
    adaptive = run({"type": "adaptive", "max_size": SIZE}, curve)
    full = run({"workers": SIZE}, curve)
    one = run({"workers": 1}, curve)
    assert adaptive.mean_workers(DURATION) < full.mean_workers(DURATION) * 0.8
    assert adaptive.mean_latency() < one.mean_latency() / 10
    assert adaptive.max_workers <= SIZE


@pytest.mark.parametrize("curve", ONE_WAY)
def test_the_size_does_not_oscillate(curve: str) -> None:
    """Aim: on curves that do not go up and down, few changes of direction."""
    assert run({"type": "adaptive", "max_size": SIZE}, curve).reversals() <= 4


@pytest.mark.parametrize("curve", CURVES)
def test_other_random_arrivals_change_none_of_this(curve: str) -> None:
    """Aim: memory and latency with other seeds too; and the size settles, to a band of six."""
    one = run({"workers": 1}, curve).mean_latency()
    for seed in range(2, 7):
        result = run({"type": "adaptive", "max_size": SIZE}, curve, seed)
        assert result.mean_workers(DURATION) < SIZE * 0.8
        assert result.mean_latency() < one / 10
        if curve in ONE_WAY:
            assert result.reversals() <= 8
            sizes = [sample.workers for sample in result.samples if sample.time > 110]
            assert max(sizes) - min(sizes) <= 6
        else:
            assert result.reversals() <= 6 * DURATION / 40


def test_an_oscillating_load_is_followed_not_amplified() -> None:
    """At most six changes of direction per period of the load."""
    result = run({"type": "adaptive", "max_size": SIZE}, "oscillation")
    assert result.reversals() <= 6 * DURATION / 40


@pytest.mark.parametrize("rate", [10, 100, 200, 400])
def test_a_steady_load_keeps_its_size(rate: int) -> None:
    """Aim: ten minutes of the same random load move the size within a narrow band."""
    result = sim.simulate(
        parse_pool({"type": "adaptive", "max_size": SIZE}),
        sim.steady_load(rate),
        sim.fixed_service(0.05),
        duration=600,
        rng=random.Random(1),
    )
    sizes = [sample.workers for sample in result.samples if sample.time > 120]
    assert max(sizes) - min(sizes) <= 6
    assert result.mean_latency() < 0.1
    # Little's law: so many calls are under way on average.
    assert rate * 0.05 <= result.mean_workers(600) <= min(2.5 * rate * 0.05 + 2, SIZE)


def test_after_a_burst_the_size_only_falls() -> None:
    """AP11: one by one, from the end of the line until the load asks for more again."""
    changes = run({"type": "adaptive", "max_size": SIZE}, "burst").changes
    peak = max(at for at, change in changes if change > 1)
    falling = [change for at, change in changes if peak < at < peak + 100]
    assert len(falling) > 15
    assert set(falling) == {-1}


def test_fz18_backlog_fills_the_pool_and_rest_empties_it() -> None:
    """FZ18: never above max_size; after the load ends, one by one down to 1."""
    result = sim.simulate(
        parse_pool({"type": "adaptive", "max_size": 8}),
        sim.steady_load(60, until=60),
        sim.fixed_service(0.2),
        duration=150,
    )
    sizes = [sample.workers for sample in result.samples]
    assert max(sizes) == result.max_workers == 8
    assert sizes[-1] == 1
    rest = [change for at, change in result.changes if at > 85]
    assert rest == [-1] * 7
    assert all(s.busy <= s.workers for s in result.samples)


def test_fz19_a_shared_lock_makes_every_probe_fail() -> None:
    """FZ19: added workers go again, and the pauses between the tries grow."""
    result = sim.simulate(
        parse_pool({"type": "adaptive", "max_size": SIZE}),
        sim.steady_load(150),
        sim.lock_service(0.02),
        duration=150,
    )
    sizes = [change for _, change in result.changes]
    assert sizes[:6] == [8, -8, 8, -8, 8, -8]
    starts = [at for at, change in result.changes if change > 0]
    ends = [at for at, change in result.changes if change < 0]
    pauses = [start - end for end, start in zip(ends, starts[1:], strict=False)]
    assert pauses[1] == pytest.approx(8.0, rel=0.25, abs=0.5)
    assert pauses == sorted(pauses)


def test_the_same_seed_gives_the_same_run() -> None:
    """A simulation is repeatable."""
    one, two = (run({"type": "adaptive", "max_size": SIZE}, "burst") for _ in range(2))
    assert one.samples == two.samples
    assert one.latencies == two.latencies


def test_a_lazy_pool_is_empty_after_the_idle_timeout() -> None:
    """PL9 in the machine: 0 workers 30 s after the last call."""
    result = sim.simulate(
        parse_pool({"max_size": 4}),
        sim.steady_load(10, until=5),
        sim.fixed_service(0.5),
        duration=40,
    )
    assert max(s.workers for s in result.samples) == 4
    assert result.samples[-1].workers == 0


def test_a_full_line_rejects() -> None:
    """PL7: the third of three calls at once."""
    result = sim.simulate(
        parse_pool({"workers": 1, "buffer": 1, "overflow": "reject"}),
        sim.burst_load(0, 300, at=1.0, length=0.01),
        sim.fixed_service(1.0),
        duration=5,
    )
    assert (len(result.latencies), result.rejected) == (2, 1)
