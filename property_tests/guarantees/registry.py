"""The list of guarantees: properties that the whole framework has to keep, and mutants break.

One file for each promise of docs/guarantees.md whose outcome depends on an order of events:
`gNN_in_short.py` holds promise NN. Files `parts_*.py` hold what such promises are built on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

Property = Callable[[], None]
PROPERTIES: dict[str, Property] = {}
FOLDER = Path(__file__).parent


def guarantee(function: Property) -> Property:
    """Notes a property under its name."""
    assert function.__name__ not in PROPERTIES, function.__name__
    PROPERTIES[function.__name__] = function
    return function


def load() -> dict[str, Property]:
    """All properties, in the order of the promises."""
    for path in sorted(FOLDER.glob("g[0-9][0-9]_*.py")) + sorted(FOLDER.glob("parts_*.py")):
        importlib.import_module(f"property_tests.guarantees.{path.stem}")
    return PROPERTIES
