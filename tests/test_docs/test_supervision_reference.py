"""docs/reference/supervision.md lists every field with its default (SU1)."""

import re
from pathlib import Path

import pytest

from supervision.specs import BACKOFF_FIELDS, CHILD_FIELDS, SUPERVISOR_FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "supervision.md").read_text()


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
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", section, re.M)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(table)
