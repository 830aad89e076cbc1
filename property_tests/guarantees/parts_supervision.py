"""What supervisors decide by."""

from __future__ import annotations

import random

from property_tests.guarantees.registry import guarantee
from property_tests.picking import rolled
from supervision.intensity import IntensityWindow


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
    from property_tests.test_supervisor_decisions import check, make_plot

    for _, plot in rolled(make_plot, 400):
        check(plot)
