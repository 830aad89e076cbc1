"""The reference documentation says what the code does."""

import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from registry.kinds.supervisor import SupervisorFields
from registry.reference import updated
from supervision.specs import SUPERVISOR_FIELDS

DOCS = Path(__file__).parents[2] / "docs" / "reference"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", (DOCS / "yaml.md").read_text("utf-8"), re.DOTALL)
Problems = Callable[..., list[str]]


def test_the_tables_of_kinds_are_up_to_date() -> None:
    """docs/reference/yaml.md is what `python -m registry.reference` makes of it."""
    text = (DOCS / "yaml.md").read_text(encoding="utf-8")
    assert text == updated(text)
    assert "| `host.max_processes` | an integer of at least 0 | `0` |" in text


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(i) for i in range(len(EXAMPLES))])
def test_every_example_is_an_application(example: str, problems: Problems) -> None:
    """Each YAML block of the page loads without a problem."""
    assert problems({"main.yaml": example}) == []


def test_the_documented_fields_of_a_supervisor_are_those_that_are_read() -> None:
    """With their defaults: they stand beside `name` and `kind`, nothing is wrapped."""
    documented = {field.name: field.default for field in attrs.fields(SupervisorFields)}
    assert documented == {name: row.default for name, row in SUPERVISOR_FIELDS.items()}


@pytest.mark.parametrize("command", ["run", "check", "tree", "queue", "lua", "observe"])
def test_every_option_is_documented(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """docs/reference/cli.md names every command and every long option."""
    from registry.cli import main

    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert f"## `trio-actors {command} " in text
    assert main([command, "--help"]) == 0
    options = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", capfd.readouterr().out)) - {"--flag"}
    assert {option for option in options if option not in text} == set()
