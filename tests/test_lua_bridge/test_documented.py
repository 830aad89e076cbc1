"""docs/how-to/run-scripts-of-others.md: its program prints what it says, its table is whole."""

import re
import subprocess
import sys
from pathlib import Path

import attrs

from lua_bridge import Limits

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-scripts-of-others.md"


def test_the_program_prints_what_the_page_says() -> None:
    """The page is true"""
    blocks = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (_, program), (_, expected) = blocks
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == expected


def test_the_page_names_every_limit() -> None:
    """No limit is secret"""
    text = PAGE.read_text("utf-8")
    names = [field.name for field in attrs.fields(Limits) if field.init]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_page_counts_the_attacks() -> None:
    """The figure is that of the folder"""
    attacks = list((Path(__file__).parent / "attacks").glob("*.lua"))
    assert f"- {len(attacks)} attacks in" in PAGE.read_text("utf-8")
