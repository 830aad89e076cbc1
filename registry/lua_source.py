"""From an entry with Lua code to the script that the bridge runs, with the lines of the file.

A script that stands in the YAML file itself is put so many lines down that its own line numbers are
those of the file: an error says `app/main.yaml:17:` and that is the line to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from lua_bridge import DEFAULT_LIMITS, Limits, Script

from .kind import Definition

SOURCE = ("source",)


def script_of(definition: Definition, libraries: Mapping[str, Script]) -> Script:
    """The script of an entry; `libraries` has those that it imports."""
    model = definition.model
    path, line = definition.entry.text_source(SOURCE)
    return Script(
        definition.id,
        "\n" * (line - 1) + model.source,
        path,
        tuple(model.modules),
        {alias: libraries[library] for alias, library in model.imports.items()},
    )


def limits_of(given: Any) -> Limits:
    """The limits that an entry gives, the bridge's defaults for all others."""
    values = attrs.asdict(given)
    return attrs.evolve(DEFAULT_LIMITS, **{k: v for k, v in values.items() if v is not None})
