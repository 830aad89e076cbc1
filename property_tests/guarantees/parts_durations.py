"""What durations promise."""

from __future__ import annotations

import random

import pytest

from property_tests.guarantees.registry import guarantee
from trio_actors import ProcessInvalid, format_duration, parse_duration


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
