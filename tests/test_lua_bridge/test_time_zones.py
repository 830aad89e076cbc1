"""Zones by name and instant: D5-D9."""

import pytest

from lua_bridge.modules import time_zones as zones

NEW_YORK = "America/New_York"
SPRING = 1_710_038_400 + 2 * 3600 + 1800  # 2024-03-10 02:30, a time that New York skips


def test_offset_and_abbreviation_follow_daylight_saving() -> None:
    """Winter and summer differ."""
    assert zones.offset_at(NEW_YORK, 1_704_067_200) == (-18_000, "EST")
    assert zones.offset_at(NEW_YORK, 1_720_000_000) == (-14_400, "EDT")


@pytest.mark.parametrize("seconds", [-(2**62), 2**62])
def test_instants_beyond_the_calendar_of_python_have_a_zone(seconds: int) -> None:
    """Whole Gregorian cycles lead back into the known range."""
    offset, name = zones.offset_at("Europe/Berlin", seconds)
    assert name in ("LMT", "CET", "CEST")
    assert 0 < offset <= 7200


def test_a_skipped_wall_clock_time_gets_one_of_both_offsets() -> None:
    """No error, and a sensible instant."""
    assert zones.offset_of_civil(NEW_YORK, SPRING)[0] in (-18_000, -14_400)


def test_an_abbreviation_is_looked_for_in_both_halves_of_the_year() -> None:
    """EST means -5 hours also in July."""
    assert zones.offset_of_abbreviation(NEW_YORK, "EST", 1_720_000_000) == -18_000
    assert zones.offset_of_abbreviation(NEW_YORK, "CET", 1_720_000_000) is None


@pytest.mark.parametrize(
    "name",
    ["", "../../etc/passwd", "/etc/passwd", "a/../b", "\0", "x" * 65, "Nowhere/City"],
)
def test_only_plain_names_of_known_zones_exist(name: str) -> None:
    """A name is never used as a path."""
    assert not zones.exists(name)


def test_the_local_zone_and_iana_zones_exist() -> None:
    """D8."""
    assert zones.exists("Local")
    assert zones.exists("Etc/GMT+3")
