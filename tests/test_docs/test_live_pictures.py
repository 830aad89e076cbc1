"""What docs/how-to/see-what-runs.md shows is what `trio-actors tree` and `ps` make (SU41)."""

import logging
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PID = re.compile(r"0x[0-9a-f]{5}")  # services that start together get theirs in any order
NAMES = [
    f"{example}-{what}"
    for example in ("logwatch", "station")
    for what in ("tree", "live", "ps", "tree.svg", "live.svg", "ps.svg")
]


@pytest.fixture(scope="module")
def maker() -> Iterator[dict[str, Any]]:
    """The program that makes them, and what it has made."""
    logging.disable()
    found = runpy.run_path(str(DOCS / "make_live_pictures.py"))
    found["texts"] = found["made"]()
    yield found
    logging.disable(logging.NOTSET)


def without_pids(text: str) -> str:
    """Equal for runs in which only the PIDs differ."""
    return PID.sub("0x.....", text)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_the_tools_make(maker: dict[str, Any], name: str) -> None:
    """`python docs/make_live_pictures.py` makes them anew."""
    page = maker["PAGE"].read_text(encoding="utf-8")
    shown = {match[2]: match[3] for match in maker["MADE"].finditer(page)}
    if name.endswith(".svg"):
        shown[name] = (DOCS / "images" / name).read_text(encoding="utf-8")
    elif name == "logwatch-live":
        return  # as a picture only
    assert without_pids(shown[name]) == without_pids(maker["texts"][name])


def test_every_block_is_made(maker: dict[str, Any]) -> None:
    """No comment names something that nobody makes."""
    page = maker["PAGE"].read_text(encoding="utf-8")
    assert page.count("<!-- made:") == len(maker["MADE"].findall(page)) == 5
