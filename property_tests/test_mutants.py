"""Each deliberately broken variant is noticed by a guarantee; at least 40 are."""

from __future__ import annotations

import gc

import pytest

from property_tests.mutants import MUTANTS, DoesNotApply, Mutant, documented, killers

PAGE = documented()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_killed(mutant: Mutant) -> None:
    """By the guarantee that docs/reference/mutants.md names."""
    try:
        mutant.source()
    except DoesNotApply as why:
        pytest.skip(str(why))
    found = killers(mutant)
    gc.collect()  # a broken framework may leave a wreck, which is of this test and no other
    assert found == [PAGE[mutant.name]], f"{mutant.name}: write the table anew"


def test_at_least_40_mutants_apply() -> None:
    """A changed source may make one inapplicable; then it has to be written anew."""
    applicable = 0
    for mutant in MUTANTS:
        try:
            mutant.source()
        except DoesNotApply:
            continue
        applicable += 1
    assert applicable >= 40


@pytest.mark.parametrize("area", ["kernel", "names", "channel", "supervisor", "registry"])
def test_each_area_has_mutants(area: str) -> None:
    """Kernel, names and channels, supervisors, the registry of entries: at least five each."""
    assert sum(mutant.area == area for mutant in MUTANTS) >= 5


def test_the_names_of_mutants_are_distinct() -> None:
    """They are what the table shows."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_documented_table_lists_every_mutant() -> None:
    """`python -m property_tests.mutants` writes it anew."""
    assert list(PAGE) == [mutant.name for mutant in MUTANTS]
