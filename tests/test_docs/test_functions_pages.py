"""Pages that are made from the code: the rules of functions, and how pools behave."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def script(name: str) -> ModuleType:
    """A script of `docs/` as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_rule_of_functions_is_shown_by_a_test() -> None:
    """And every file that the page names shows it; `python docs/make_rule_map.py` writes it."""
    maker = script("make_rule_map")
    assert maker.unshown() == []
    claimed, cited = maker.claims(maker.PAGE.read_text(encoding="utf-8")), maker.citations()
    rules = [rule for _, rule, _ in maker.rules()]
    assert [rule for rule in rules if rule not in claimed] == []
    assert {
        rule: claimed[rule] - cited[rule] for rule in rules if claimed[rule] - cited[rule]
    } == {}
    bare = [rule for rule in rules if not claimed[rule]]
    assert bare == list(maker.PROMISES)


@pytest.mark.parametrize("curve", ["step", "burst", "ramp", "oscillation", "slow", "slowing"])
def test_the_pictures_of_pools_are_those_of_the_simulation(curve: str) -> None:
    """And so are the figures of the page: run `python docs/make_pool_plots.py`."""
    maker = script("make_pool_plots")
    assert curve in maker.CURVES
    svg, row = maker.picture(curve)
    assert svg == (maker.OUT / f"pool-{curve}.svg").read_text(encoding="utf-8")
    assert row in (DOCS / "pools.md").read_text(encoding="utf-8").splitlines()
