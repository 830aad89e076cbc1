"""How much the properties try: the profiles `fast` and `night` of Hypothesis.

`fast` is the default and part of `make test`, under two minutes. `make night` takes `night`, by the
option `--hypothesis-profile=night`: the same properties, many more examples and schedules.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

FAST, NIGHT = "fast", "night"
MORE = 40  # so many times as much is tried at night


def register() -> None:
    """Makes the profiles known, and `fast` the default; called by conftest.py."""
    patient = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings.register_profile(
        FAST, deadline=None, max_examples=100, suppress_health_check=patient, print_blob=True
    )
    settings.register_profile(
        NIGHT, settings.get_profile(FAST), max_examples=100 * MORE, print_blob=True
    )
    settings.load_profile(FAST)


def night() -> bool:
    """Whether this is a run of the profile `night`."""
    return settings.get_current_profile_name() == NIGHT


def drawn(fast: int) -> settings:
    """Of properties that draw whole programs: `fast` of them, always the same, never shrunk."""
    return settings(
        max_examples=times(fast),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a mutant has to be found, not shown
    )


def times(fast: int) -> int:
    """How many examples or schedules: `fast` of them, or `MORE` times as many at night."""
    return fast * MORE if night() else fast
