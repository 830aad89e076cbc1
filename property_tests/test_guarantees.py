"""Every guarantee holds for the framework as it is."""

from __future__ import annotations

import pytest

import property_tests.guarantees.ends
import property_tests.guarantees.messages
import property_tests.guarantees.pure
import property_tests.guarantees.ties  # noqa: F401  they list themselves
from property_tests.guarantees.registry import PROPERTIES, Property


@pytest.mark.parametrize("promise", PROPERTIES.values(), ids=list(PROPERTIES))
def test_guarantee(promise: Property) -> None:
    """The property named in the id."""
    promise()
