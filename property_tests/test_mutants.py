"""Each deliberately broken variant is noticed by a guarantee; at least 40 are."""

from __future__ import annotations

from pathlib import Path

import pytest

import property_tests.test_guarantees  # noqa: F401  lists the guarantees
from property_tests.mutants import MUTANTS, DoesNotApply, Mutant, killers


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_killed(mutant: Mutant) -> None:
    """By the guarantee that is named with it, or by another."""
    try:
        mutant.code()
    except DoesNotApply as why:
        pytest.skip(str(why))
    assert killers(mutant), f"nobody notices that {mutant.name}"


def test_at_least_40_mutants_apply() -> None:
    """A changed source may make one inapplicable; then it has to be written anew."""
    applicable = 0
    for mutant in MUTANTS:
        try:
            mutant.code()
        except DoesNotApply:
            continue
        applicable += 1
    assert applicable >= 40


def test_the_names_of_mutants_are_distinct() -> None:
    """They are what the table shows."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_documented_table_lists_every_mutant() -> None:
    """docs/reference/mutants.md; `python -m property_tests.mutants` prints it anew."""
    page = Path(__file__).resolve().parents[1] / "docs" / "reference" / "mutants.md"
    listed = [line.split("|")[1].strip() for line in page.read_text().splitlines() if "| `" in line]
    assert [name for name in listed if name in {m.name for m in MUTANTS}] == [
        mutant.name for mutant in MUTANTS
    ]
