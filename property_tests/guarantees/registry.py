"""The list of guarantees: properties that the whole framework has to keep, and mutants break."""

from __future__ import annotations

from collections.abc import Callable

Property = Callable[[], None]
PROPERTIES: dict[str, Property] = {}


def guarantee(function: Property) -> Property:
    """Notes a property under its name."""
    PROPERTIES[function.__name__] = function
    return function
