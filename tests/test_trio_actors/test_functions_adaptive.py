"""The adaptive controller, number by number. Rules: AP1-AP11."""

import math

import attrs
import pytest

from trio_actors.functions.adaptive import Observation, Probe, State, noise_band, step, variation


def seen(
    now: float, *, finished: int = 0, workers: int = 1, busy: int = 1, queued: int = 0
) -> Observation:
    return Observation(now, finished, workers, busy, queued)


def test_a_tick_too_soon_is_ignored() -> None:
    """AP1: less than 50 ms after the last accepted tick."""
    state = State(last_tick=1.0)
    assert step(state, seen(1.049, finished=9, queued=5), 16) == (state, 0)
    assert step(state, seen(1.05, queued=5), 16)[1] == 4


def test_throughput_is_smoothed_with_the_exact_weights() -> None:
    """AP2: ema and variance of two samples."""
    first, _ = step(State(last_tick=0.0), seen(0.5, finished=5), 16)
    assert (first.ema, first.variance, first.samples) == (10.0, 0.0, 1)
    second, _ = step(first, seen(1.0, finished=15), 16)
    assert second.ema == pytest.approx(0.2 * 20 + 0.8 * 10)
    assert second.variance == pytest.approx(0.1 * 100 + 0.9 * 0)
    assert second.samples == 2


def test_the_noise_band_follows_the_variation() -> None:
    """AP3: unknown variation is 1.0, and the band never exceeds one half."""
    assert variation(State(0.0)) == 1.0
    assert noise_band(State(0.0)) == 0.5
    steady = State(0.0, ema=100.0, variance=25.0)
    assert variation(steady) == pytest.approx(0.05)
    assert noise_band(steady) == pytest.approx(0.1)


def test_eight_idle_ticks_remove_one_worker() -> None:
    """AP4: one worker at the eighth tick; the probe is dropped, the peak forgotten."""
    state = State(0.0, peak=50.0, probe=Probe(0.0, 1.0, 1, 3, 1), fails=2)
    changes = []
    for n in range(1, 17):
        state, change = step(state, seen(n * 0.5, workers=4, busy=1), 16)
        changes.append(change)
        if n == 8:
            assert (state.probe, state.peak, state.idle) == (None, 0.0, 0)
            assert state.cooldown_end == 6.0
    assert changes == [0] * 7 + [-1] + [0] * 7 + [-1]


def test_a_busy_tick_starts_the_idle_count_again() -> None:
    """AP4: any other tick sets the count to 0."""
    state = State(0.0)
    for n in range(1, 8):
        state, _ = step(state, seen(n * 0.5, workers=4, busy=1), 16)
    state, change = step(state, seen(4.0, workers=4, busy=2), 16)
    assert (state.idle, change) == (0, 0)


def test_the_last_worker_stays() -> None:
    """AP4: a pool of one is never idle enough."""
    state = State(0.0)
    for n in range(1, 40):
        state, change = step(state, seen(n * 0.5, workers=1, busy=0), 16)
        assert change == 0


def test_nothing_grows_during_a_cooldown() -> None:
    """AP5."""
    state = State(0.0, cooldown_end=2.0)
    assert step(state, seen(1.9, queued=9), 16)[1] == 0
    assert step(state, seen(2.0, queued=9), 16)[1] > 0


@pytest.mark.parametrize(
    ("workers", "queued", "max_size", "added"),
    [
        (1, 1, 16, 1),  # at least one
        (1, 100, 16, 4),  # at most a quarter of max_size
        (1, 100, 2, 1),  # the quarter is at least one
        (4, 13, 64, 3),  # queued // workers
        (4, 4, 64, 1),  # queued is not above workers
        (20, 20, 64, 5),  # a quarter of the workers
        (15, 100, 16, 1),  # no more than there is room for
        (16, 100, 16, 0),
    ],
)
def test_a_probe_adds_by_the_line_and_the_size(
    workers: int, queued: int, max_size: int, added: int
) -> None:
    """AP6."""
    state, change = step(
        State(0.0), seen(0.5, workers=workers, busy=workers, queued=queued), max_size
    )
    assert change == added
    assert (state.probe is None) == (added == 0)


def test_no_probe_while_a_worker_is_free_or_nobody_waits() -> None:
    """AP6: both conditions."""
    assert step(State(0.0), seen(0.5, workers=4, busy=3, queued=1), 16)[1] == 0
    assert step(State(0.0), seen(0.5, workers=4, busy=4, queued=0), 16)[1] == 0


def probing(**changes: object) -> State:
    """A state just before the verdict: ema stays as given, because the samples equal it."""
    base = State(
        last_tick=1.5,
        last_finished=0,
        ema=100.0,
        variance=1e-9,
        samples=3,
        probe=Probe(0.0, 100.0, 10, 4, 2),
    )
    return attrs.evolve(base, **changes)  # type: ignore[arg-type]


def verdict(state: State, *, queued: int = 20, draw: float = 0.0) -> tuple[State, int]:
    finished = int(state.ema * 0.5)
    return step(state, seen(2.0, finished=finished, workers=6, busy=6, queued=queued), 16, draw)


def test_a_probe_is_judged_after_two_seconds_times_the_noise() -> None:
    """AP7: m = 1 below eight samples, else 1 + min(cv^2, 3)."""
    early, change = step(probing(), seen(1.99, finished=49, workers=6, busy=6, queued=20), 16)
    assert early.probe is not None
    assert change == 0
    assert verdict(probing())[0].probe is None
    noisy = probing(samples=20, variance=100.0**2)
    assert verdict(noisy)[0].probe is not None
    later = attrs.evolve(noisy, last_tick=7.5)
    assert step(later, seen(8.0, finished=50, workers=6, busy=6, queued=20), 16)[0].probe is None


@pytest.mark.parametrize(
    ("baseline", "peak", "queued", "kept"),
    [
        (0.0, 0.0, 0, False),  # nothing to compare with
        (50.0, 300.0, 0, False),  # far below the peak
        (50.0, 0.0, 99, True),  # a clear gain
        (200.0, 0.0, 0, False),  # a clear loss
        (100.0, 0.0, 9, True),  # no change, shorter line
        (100.0, 0.0, 10, False),  # no change, same line
    ],
)
def test_the_verdict_is_the_first_match(
    baseline: float, peak: float, queued: int, kept: bool
) -> None:
    """AP8."""
    state = probing(peak=peak, probe=Probe(0.0, baseline, 10, 4, 2))
    assert verdict(state, queued=queued)[1] == (0 if kept else -2)


def test_keeping_forgets_failures_and_raises_the_peak() -> None:
    """AP9: cooldown 1 s plus or minus a quarter."""
    state, _ = verdict(probing(fails=3, stable_cv=0.1, probe=Probe(0.0, 50.0, 10, 4, 2)))
    assert (state.fails, state.stable_cv, state.peak) == (0, 0.0, pytest.approx(100.0))
    assert state.cooldown_end == 3.0
    for draw in (-1.0, 1.0):
        state, _ = verdict(probing(probe=Probe(0.0, 50.0, 10, 4, 2)), draw=draw)
        assert state.cooldown_end == pytest.approx(3.0 + draw * 0.25)


def test_fz19_failures_at_one_size_double_the_cooldown() -> None:
    """FZ19, AP10: 4 s after the first failure, 8 s after the second, 2^10 at most."""
    state, change = verdict(probing())
    assert (change, state.fails, state.last_failed_size) == (-2, 1, 6)
    assert state.cooldown_end - 2.0 == 4.0
    again = attrs.evolve(probing(), fails=1, last_failed_size=6, stable_cv=state.stable_cv)
    state, _ = verdict(again, draw=1.0)
    assert state.fails == 2
    assert state.cooldown_end - 2.0 == pytest.approx(8.0 * 1.25)
    many = attrs.evolve(again, fails=30)
    assert verdict(many)[0].cooldown_end - 2.0 == 2.0 * 2**10


def test_another_size_or_other_noise_counts_anew() -> None:
    """AP10: what resets the number of failures."""
    other_size = probing(fails=5, last_failed_size=9)
    assert verdict(other_size)[0].fails == 1
    calm = probing(fails=5, last_failed_size=6, stable_cv=1e-9)
    state, _ = verdict(calm)
    assert state.fails == 1
    assert state.stable_cv > 1e-9
    same = probing(fails=5, last_failed_size=6, stable_cv=0.0)
    state, _ = verdict(same)
    assert state.fails == 6
    assert state.stable_cv == variation(state)


def test_a_failure_without_baseline_leaves_the_memory_alone() -> None:
    """AP10: the update is skipped, the workers go, the cooldown is 2 s."""
    state, change = verdict(probing(probe=Probe(0.0, 0.0, 10, 4, 2)))
    assert (change, state.fails, state.cooldown_end) == (-2, 0, 4.0)


def test_state_starts_without_cooldown() -> None:
    """AP1."""
    assert State(0.0).cooldown_end == -math.inf
