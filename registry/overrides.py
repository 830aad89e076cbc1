"""`--set ns:entry:field=value`: changes to entries after reading and before every check.

Rule: I12. The id and the field part at the last colon, since names may contain colons and fields
may not. In a mapping given from Python the values are taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from trio_actors.fields import nearest

from .entry import Entry, Origin
from .problems import Path, Position, Problem, field_text
from .yaml_text import Document

PLACE = "--set"
_INTEGER = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?")


@attrs.frozen(slots=True)
class Override:
    """One change: the entry, the field's path inside it, the new value, and which option it was."""

    entry: str
    path: Path
    value: Any
    position: Position


def parse_overrides(options: Iterable[str] | Mapping[str, Any]) -> list[Override]:
    """Overrides from texts `ns:entry:field=value` or a mapping `{"ns:entry:field": value}`.

    Raises: ValueError that shows the malformed option and the form expected.
    """
    pairs: list[tuple[str, Any]] = []
    if isinstance(options, Mapping):
        pairs = list(options.items())
    else:
        for option in options:
            target, equals, text = option.partition("=")
            if not equals:
                raise ValueError(_form(option))
            pairs.append((target, typed(text)))
    result = []
    for number, (target, value) in enumerate(pairs, 1):
        entry, colon, field = target.rpartition(":")
        if not colon or ":" not in entry or not field:
            raise ValueError(_form(target))
        result.append(Override(entry, _path(field), value, Position(PLACE, number)))
    return result


def typed(text: str) -> Any:
    """The value that a text on the command line means.

    >>> [typed(t) for t in ("true", "3", "-1.5", "1e3", "3s", "")]
    [True, 3, -1.5, 1000.0, '3s', '']
    """
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def apply_overrides(
    entries: list[Entry], overrides: Iterable[Override]
) -> tuple[list[Entry], list[Problem]]:
    """The entries with the changes made; unknown entries and unreachable fields are problems."""
    result = {entry.id: entry for entry in entries}
    changes: dict[str, Entry] = {}  # of duplicates each keeps its own mistakes
    problems: list[Problem] = []
    for override in overrides:
        entry = result.get(override.entry)
        if entry is None:
            problems.append(
                Problem(
                    override.position,
                    override.entry,
                    "",
                    "the id of an entry",
                    "an unknown id",
                    nearest(override.entry, result),
                )
            )
            continue
        changed = _change(entry, override)
        if isinstance(changed, Problem):
            problems.append(changed)
        else:
            result[entry.id] = changes[entry.id] = changed
    return [changes.get(entry.id, entry) for entry in entries], problems


def _form(option: str) -> str:
    return f'expected ns:entry:field=value, got "{option}"'


def _path(field: str) -> Path:
    """`data.x` is the field x; `kind` and `meta.x` are structure. Digits count into lists."""
    parts = field.split(".")
    if parts[0] == "data" and len(parts) > 1:
        parts = parts[1:]
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _change(entry: Entry, override: Override) -> Entry | Problem:
    path = override.path
    whole = {"kind": entry.kind, "meta": entry.meta, **entry.data}
    try:
        whole = _replaced(whole, path, override.value)
    except LookupError:
        expected, got = "a field that can be set", "a path through something that has no such part"
        return Problem(override.position, entry.id, field_text(path), expected, got)
    origin = entry.origin or Origin(Document(PLACE))
    origin = attrs.evolve(origin, overridden={**origin.overridden, path: override.position})
    kind, meta = whole.pop("kind"), whole.pop("meta")
    return Entry(entry.id, kind, meta, whole, origin)


def _replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of `value` with `new` at `path`; mappings on the way are made as needed."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        if not isinstance(step, int) or step >= len(value):
            raise LookupError
        return [*value[:step], _replaced(value[step], rest, new), *value[step + 1 :]]
    if value is None or isinstance(value, dict):
        mapping = value or {}
        return {**mapping, str(step): _replaced(mapping.get(str(step)), rest, new)}
    raise LookupError
