"""`find`: which entries fit a filter. Pure.

Rules: RG1 (root fields, dotted or bare, one `*` glob), RG2 (meta), RG3 (prefixes), RG4 (all hold,
numbers by value, lists, malformed conditions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from trio_actors import ErrorKind, ProcessError, make_error

from .entry import Entry

Condition = Callable[[Entry], bool]

ROOT: Mapping[str, Callable[[Entry], str]] = {
    "id": lambda entry: entry.id,
    "kind": lambda entry: entry.kind,
    "name": lambda entry: entry.parts.name,
    "ns": lambda entry: entry.parts.ns,
    "namespace": lambda entry: entry.parts.ns,
}
PREFIXES = "~*^$"


def find(entries: Iterable[Entry], query: Mapping[str, Any]) -> list[Entry]:
    """The entries that fit every condition, sorted by id.

    Raises: ProcessInvalid for a malformed condition.
    """
    conditions = [_condition(key, value) for key, value in query.items() if key != "meta"]
    nested = query.get("meta", {})
    if not isinstance(nested, Mapping):
        raise _malformed("meta", "a table")
    conditions += [_meta_condition(str(key), value) for key, value in nested.items()]
    fitting = (entry for entry in entries if all(fits(entry) for fits in conditions))
    return sorted(fitting, key=lambda entry: entry.id)


def _condition(key: str, wanted: Any) -> Condition:
    if not isinstance(key, str) or not key:
        raise _malformed(str(key), "a field name")
    root = ROOT.get(key.removeprefix("."))
    if root is not None:
        return _root_condition(key, root, wanted)
    if key.startswith("."):
        raise _malformed(key, "one of .id, .kind, .name, .ns")
    prefix = key[0] if key[0] in PREFIXES else ""
    return _meta_condition(prefix + key.removeprefix(prefix).removeprefix("meta."), wanted)


def _root_condition(key: str, read: Callable[[Entry], str], wanted: Any) -> Condition:
    if not isinstance(wanted, str) or wanted.count("*") > 1:
        raise _malformed(key, "a text with at most one *")
    before, star, after = wanted.partition("*")
    if not star:
        return lambda entry: read(entry) == wanted
    room = len(before) + len(after)
    return lambda entry: (
        len(read(entry)) >= room and read(entry).startswith(before) and read(entry).endswith(after)
    )


def _meta_condition(key: str, wanted: Any) -> Condition:
    prefix, name = (key[0], key[1:]) if key[:1] and key[0] in PREFIXES else ("", key)
    name = name.removeprefix("meta.")
    if not name:
        raise _malformed(key, "the name of a key of meta")
    if prefix and prefix != "*" and not isinstance(wanted, str):
        raise _malformed(key, "a text")
    test = _tests(prefix, key, wanted)
    return lambda entry: test(_at(entry.meta, name))


def _tests(prefix: str, key: str, wanted: Any) -> Callable[[Any], bool]:
    match prefix:
        case "~":
            try:
                pattern = re.compile(wanted)
            except re.error as error:
                raise _malformed(key, f"a regular expression ({error})") from None
            return lambda found: isinstance(found, str) and pattern.search(found) is not None
        case "*":
            return lambda found: _contains(found, wanted)
        case "^":
            return lambda found: isinstance(found, str) and found.startswith(wanted)
        case "$":
            return lambda found: isinstance(found, str) and found.endswith(wanted)
        case _:
            return lambda found: _equal(found, wanted)


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    return isinstance(found, list | tuple) and any(_equal(item, wanted) for item in found)


def _equal(found: Any, wanted: Any) -> bool:
    """Equality of plain data; a wanted list has all its elements in the found one (RG4)."""
    if isinstance(wanted, list | tuple):
        items = found if isinstance(found, list | tuple) else [found]
        return all(any(_equal(item, one) for item in items) for one in wanted)
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    return bool(found == wanted)


def _at(meta: Mapping[str, Any], name: str) -> Any:
    """The value of a key, or of a path with dots."""
    if name in meta:
        return meta[name]
    value: Any = meta
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _malformed(key: str, expected: str) -> ProcessError:
    return make_error(ErrorKind.INVALID, f"malformed condition {key}: expected {expected}")
