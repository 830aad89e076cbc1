"""The reference documentation says what the code does."""

import re
from pathlib import Path

import pytest

from registry.reference import updated

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def test_the_tables_of_kinds_are_up_to_date() -> None:
    """docs/reference/yaml.md is what `python -m registry.reference` makes of it."""
    text = (DOCS / "yaml.md").read_text(encoding="utf-8")
    assert text == updated(text)
    assert "| `host.max_processes` | an integer of at least 0 | `0` |" in text


def test_the_example_is_an_application(problems: object) -> None:
    """The first YAML block of the page loads without a problem."""
    text = (DOCS / "yaml.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    assert problems({"main.yaml": example}) == []  # type: ignore[operator]


@pytest.mark.parametrize("command", ["run", "check", "tree", "queue", "lua", "observe"])
def test_every_option_is_documented(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """docs/reference/cli.md names every command and every long option."""
    from registry.cli import main

    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert f"## `trio-actors {command} " in text
    assert main([command, "--help"]) == 0
    options = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", capfd.readouterr().out)) - {"--flag"}
    assert {option for option in options if option not in text} == set()
