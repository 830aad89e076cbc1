"""The profiles `fast` and `night` of the properties."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from property_tests.profiles import FAST, MORE, NIGHT, times

ROOT = Path(__file__).resolve().parents[2]


def test_the_night_tries_more() -> None:
    """`make test` runs `fast`; `night` is the same properties with more examples."""
    before = settings.get_current_profile_name()
    try:
        settings.load_profile(FAST)
        assert times(25) == 25
        settings.load_profile(NIGHT)
        assert times(25) == 25 * MORE
        night = settings.get_profile(NIGHT)
        assert night.max_examples == settings.get_profile(FAST).max_examples * MORE
    finally:
        settings.load_profile(before)


@pytest.mark.parametrize("profile", [FAST, NIGHT])
def test_pytest_takes_the_profile(profile: str) -> None:
    """As the Makefile asks for it."""
    which = "test_guarantees.py::test_guarantee[two_failures_end_one_process_once]"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"),
            f"--hypothesis-profile={profile}",
            f"property_tests/{which}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"hypothesis profile '{profile}'" in done.stdout
    assert "1 passed" in done.stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"--hypothesis-profile={NIGHT} property_tests" in makefile
