"""The pages about testing are run; the report and the picture in them are the harness's own."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from races import RACES

from trio_actors.testing import ScheduleFailure, Sim, explore
from trio_actors.testing.explore import settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [
    "tutorial/first-race.md",
    "how-to/model-your-system.md",
    "how-to/inject-faults.md",
    "how-to/check-linearizability.md",
]
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.S | re.M)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python blocks run in order; a text block is the output of the one before."""
    monkeypatch.setattr(settings, "directory", tmp_path)
    source = (DOCS / page).read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    output = ""
    for language, text in FENCE.findall(source):
        if language == "python":
            written = io.StringIO()
            with contextlib.redirect_stdout(written):
                exec(compile(text, page, "exec"), names)
            output = re.sub(r"(?m)^  at .*\n", "", written.getvalue()).strip()
        elif language == "text" and "verified:" in text:
            test = names["test_no_seat_is_sold_twice"].__qualname__
            assert f"tests/test_seats.py::{test}: {settings.explored[test]}" == text.strip()
        elif language == "text":
            assert output == text.strip()


def test_the_picture_is_the_harness_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`TRIO_ACTORS_UPDATE_DOCS=1` writes it anew."""
    monkeypatch.setattr(settings, "directory", tmp_path)
    source = (DOCS / PAGES[0]).read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    for text in [text for language, text in FENCE.findall(source) if language == "python"][:2]:
        exec(compile(text, PAGES[0], "exec"), names)
    with pytest.raises(ScheduleFailure) as caught:
        names["test_no_seat_is_sold_twice"]()
    drawn = caught.value.report.svg() + "\n"
    path = DOCS / "tutorial" / "first-race.svg"
    if os.environ.get("TRIO_ACTORS_UPDATE_DOCS"):
        path.write_text(drawn, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == drawn


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_the_table_of_planted_races_is_true(race: Any) -> None:
    """docs/reference/testing.md: when each is found, and what is left of the schedule."""

    @explore(seed=0, report=("text",))
    async def test(sim: Sim) -> None:
        await race(sim, False)

    @explore(schedules=300, seed=0, report=("text",))
    async def twin(sim: Sim) -> None:
        await race(sim, True)

    with pytest.raises(ScheduleFailure) as caught:
        test()
    twin()
    found = caught.value.report
    explored = settings.explored["test_the_table_of_planted_races_is_true.twin"]
    row = (
        f"| {race.__name__} | {found.found_at} ({found.strategy}) | {found.tries} runs"
        f" | `{found.schedule}` | {explored} |"
    )
    assert row in (DOCS / "reference" / "testing.md").read_text(encoding="utf-8").splitlines()
