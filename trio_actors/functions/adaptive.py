"""The adaptive pool's controller: observations in, a number of workers to add or remove out.

Rules: AP1-AP11. A *tick* is one accepted observation. The state is a value and `step` is a pure
function, so a simulation in virtual time (simulation.py) drives the very code that the pool uses.

Theory: hill climbing on throughput. When all workers are busy and a line forms, some workers are
added (a *probe*); after two seconds the throughput is compared with that before the probe, beyond a
noise band taken from the variance of the samples. Growth that brought nothing is undone and the
next try waits, twice as long after each failure at the same size. Idle pools lose one worker per
four seconds. Rejected: control by queue length alone, which grows without bound when the callee is
limited by something that more workers only make slower.
"""

from __future__ import annotations

import math

import attrs

__all__ = ["Observation", "Probe", "State", "noise_band", "step", "variation"]

TICK = 0.5  # seconds between observations
MIN_TICK = 0.05  # a tick sooner after the last one is ignored
EMA_WEIGHT = 0.2
VARIANCE_WEIGHT = 0.1
BAND_LIMIT = 0.5
IDLE_TICKS = 8
SHRINK_COOLDOWN = 2.0
PROBE_TIME = 2.0
FEW_SAMPLES = 8
KEEP_COOLDOWN = 1.0
FAIL_COOLDOWN = 2.0
MAX_DOUBLINGS = 10
UNSTABLE = 3.0  # times the stable cv: the noise has changed, so start counting failures anew
JITTER = 0.25  # fraction of a cooldown; `step` gets the draw in [-1, 1]


@attrs.frozen(slots=True)
class Observation:
    """What one tick sees of a pool."""

    now: float
    # completed + failed since the pool began
    finished: int
    workers: int
    busy: int
    queued: int


@attrs.frozen(slots=True)
class Probe:
    """Workers added on trial."""

    start: float
    baseline: float  # ema when the probe began
    queue: int  # requests waiting when the probe began
    size_before: int
    added: int


@attrs.frozen(slots=True)
class State:
    """Everything the controller remembers between ticks."""

    last_tick: float
    last_finished: int = 0
    ema: float = 0.0
    variance: float = 0.0
    samples: int = 0
    idle: int = 0
    cooldown_end: float = -math.inf
    probe: Probe | None = None
    peak: float = 0.0
    fails: int = 0
    last_failed_size: int = 0
    stable_cv: float = 0.0


def variation(state: State) -> float:
    """The coefficient of variation of the throughput; 1.0 where it is unknown. Rule: AP3."""
    if state.ema <= 0 or state.variance <= 0:
        return 1.0
    return math.sqrt(state.variance) / state.ema


def noise_band(state: State) -> float:
    """The relative change that may be noise. Rule: AP3."""
    return min(2 * variation(state), BAND_LIMIT)


def step(state: State, seen: Observation, max_size: int, draw: float = 0.0) -> tuple[State, int]:
    """The next state and the change: n > 0 adds n workers, n < 0 removes -n, 0 does nothing.

    `draw` in [-1, 1] is the random part of a cooldown. Order of the rules: AP1, AP2, AP4, AP5,
    then AP7 for a running probe or AP6 for a new one.
    """
    if seen.now - state.last_tick < MIN_TICK:
        return state, 0
    state = _sampled(state, seen)
    if seen.busy / seen.workers < 0.5 and seen.queued == 0 and seen.workers > 1:
        return _idle_tick(state, seen)
    if state.idle:
        state = attrs.evolve(state, idle=0)
    if seen.now < state.cooldown_end:
        return state, 0
    if state.probe is not None:
        return _judged(state, state.probe, seen, draw)
    if seen.busy == seen.workers and seen.queued > 0 and seen.workers < max_size:
        added = _growth(seen, max_size)
        probe = Probe(seen.now, state.ema, seen.queued, seen.workers, added)
        return attrs.evolve(state, probe=probe), added
    return state, 0


def _sampled(state: State, seen: Observation) -> State:
    """The state with this tick's throughput in it. Rule: AP2."""
    sample = (seen.finished - state.last_finished) / (seen.now - state.last_tick)
    if state.samples == 0:
        ema, variance = sample, 0.0
    else:
        d = sample - state.ema
        ema = EMA_WEIGHT * sample + (1 - EMA_WEIGHT) * state.ema
        variance = VARIANCE_WEIGHT * d * d + (1 - VARIANCE_WEIGHT) * state.variance
    return attrs.evolve(
        state,
        last_tick=seen.now,
        last_finished=seen.finished,
        ema=ema,
        variance=variance,
        samples=state.samples + 1,
    )


def _idle_tick(state: State, seen: Observation) -> tuple[State, int]:
    """Count an idle tick, and shrink by one worker at the eighth. Rule: AP4."""
    if state.idle + 1 < IDLE_TICKS:
        return attrs.evolve(state, idle=state.idle + 1), 0
    state = attrs.evolve(
        state, idle=0, cooldown_end=seen.now + SHRINK_COOLDOWN, peak=0.0, probe=None
    )
    return state, -1 if seen.workers - 1 >= max(1, seen.busy + 1) else 0


def _growth(seen: Observation, max_size: int) -> int:
    """How many workers a probe adds. Rule: AP6."""
    by_queue = seen.queued // seen.workers if seen.queued > seen.workers else 0
    wanted = max(by_queue, seen.workers // 4, 1)
    return min(wanted, max(max_size // 4, 1), max_size - seen.workers)


def _judged(state: State, probe: Probe, seen: Observation, draw: float) -> tuple[State, int]:
    """Keep or undo a probe once it has run long enough. Rules: AP7-AP10."""
    cv = variation(state)
    factor = 1.0 if state.samples < FEW_SAMPLES else 1 + min(cv * cv, 3.0)
    if seen.now - probe.start < PROBE_TIME * factor:
        return state, 0
    state = attrs.evolve(state, probe=None)
    if _keeps(state, probe, seen):
        cooldown = KEEP_COOLDOWN * (1 + JITTER * draw)
        return (
            attrs.evolve(
                state,
                fails=0,
                stable_cv=0.0,
                peak=max(state.peak, state.ema),
                cooldown_end=seen.now + cooldown,
            ),
            0,
        )
    if probe.baseline > 0:
        state = _failed(state, probe.size_before + probe.added, cv)
    cooldown = FAIL_COOLDOWN * 2 ** min(state.fails, MAX_DOUBLINGS) * (1 + JITTER * draw)
    state = attrs.evolve(state, cooldown_end=seen.now + cooldown)
    return state, -min(probe.added, seen.workers - 1)


def _keeps(state: State, probe: Probe, seen: Observation) -> bool:
    """The verdict on a probe, first match wins. Rule: AP8."""
    band = noise_band(state)
    if probe.baseline <= 0:
        return False
    if state.peak > 0 and state.ema < state.peak * (1 - band):
        return False
    improvement = (state.ema - probe.baseline) / probe.baseline
    if improvement > band:
        return True
    if improvement < -band:
        return False
    return seen.queued < probe.queue


def _failed(state: State, size: int, cv: float) -> State:
    """The memory of failures at one size, which sets the length of the cooldown. Rule: AP10."""
    if size != state.last_failed_size:
        return attrs.evolve(state, fails=1, last_failed_size=size, stable_cv=cv)
    if state.stable_cv > 0 and cv > UNSTABLE * state.stable_cv:
        return attrs.evolve(state, fails=1, stable_cv=cv)
    stable = cv if state.stable_cv == 0 else min(state.stable_cv, cv)
    return attrs.evolve(state, fails=state.fails + 1, stable_cv=stable)
