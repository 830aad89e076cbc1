"""Every example in a docstring is true."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import lua_bridge
import registry
import supervision
import trio_actors


def modules_with_examples() -> Iterator[str]:
    """Names of all modules of the packages whose source has a `>>>`."""
    for package in (trio_actors, supervision, lua_bridge, registry):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            spec = found.module_finder.find_spec(found.name, None)
            source = getattr(getattr(spec, "loader", None), "get_source", lambda name: "")
            if ">>> " in (source(found.name) or ""):
                yield found.name


@pytest.mark.parametrize("name", sorted(modules_with_examples()))
def test_examples_in_docstrings(name: str) -> None:
    """Run as they stand."""
    outcome = doctest.testmod(importlib.import_module(name))
    assert (outcome.failed, outcome.attempted > 0) == (0, True)
