"""docs/reference/supervision.md lists every field with its default (SU1)."""

import re
from pathlib import Path

import pytest

from supervision.fields import Field
from supervision.specs import BACKOFF_FIELDS, CHILD_FIELDS, SUPERVISOR_FIELDS
from trio_actors import parse_duration

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "supervision.md").read_text()
DURATIONS = {"shutdown", "start_timeout", "period", "initial_delay", "max_delay", "reset_after"}


def rows(title: str) -> list[tuple[list[str], str]]:
    """The names and the default of each row of a table."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| (`.*?`) \| (.*?) \|", section, re.M)
    return [(re.findall(r"`(\w+)`", names), default) for names, default in found]


def shown(name: str, default: str) -> object:
    """The value that a cell stands for."""
    word = re.split(r" \(", default)[0].strip("`")
    if name in DURATIONS:
        return parse_duration(word) / 1e9
    known = {"true": True, "false": False, "none": None}
    number = re.fullmatch(r"[\d.]+", word)
    return known[word] if word in known else float(word) if number else word


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("Fields of a child", CHILD_FIELDS),
        ("Fields of a supervisor", SUPERVISOR_FIELDS),
        ("Fields of a backoff", BACKOFF_FIELDS),
    ],
)
def test_every_field_is_listed(title: str, table: dict[str, object]) -> None:
    """In the order of the table of defaults."""
    assert [name for names, _ in rows(title) for name in names] == list(table)


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("Fields of a child", CHILD_FIELDS),
        ("Fields of a supervisor", SUPERVISOR_FIELDS),
        ("Fields of a backoff", BACKOFF_FIELDS),
    ],
)
def test_every_default_is_the_one_in_force(title: str, table: dict[str, Field]) -> None:
    """As a value; of those that are made from other fields it says from which."""
    for names, default in rows(title):
        for name in names:
            if table[name].required:
                assert default == "required"
            elif default in ("exactly one", "the supervisor's", "the supervisor's host"):
                assert table[name].default is None
            else:
                value = table[name].default
                assert shown(name, default) == (None if value == () else value)
