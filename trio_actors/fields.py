"""Small readers for configuration fields: each names the field, what it expected and what it found.

Every reader raises `FieldError`, which carries the three parts as data. A YAML loader turns it into
a report with a position, a call turns it into ProcessInvalid; neither has to take text apart again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ._core.duration import parse_duration
from ._core.errors import ErrorKind, ProcessError, make_error
from ._core.nearest import nearest

__all__ = [
    "FieldError",
    "as_mapping",
    "boolean",
    "check_keys",
    "choice",
    "duration",
    "integer",
    "nearest",
    "number",
    "shown",
    "strings",
]


def shown(value: object, limit: int = 60) -> str:
    """A value as it is quoted in an error text: JSON where possible, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 1] + "…"


@attrs.define(slots=True, frozen=True)
class FieldError(Exception):
    """A configuration field with a wrong value; `str()` is `path: expected …; found …`."""

    path: str
    expected: str
    found: str
    # Allowed names, for "did you mean" in a loader's report.
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}; found {self.found}"

    def as_invalid(self) -> ProcessError:
        """The same problem as the error of a call."""
        return make_error(ErrorKind.INVALID, str(self))


def as_mapping(value: object, path: str) -> Mapping[str, Any]:
    """The value if it is a mapping with text keys, else FieldError."""
    if isinstance(value, list) and not value:
        return {}  # an empty Lua table arrives as an empty list (M27)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise FieldError(path, "a mapping", shown(value))
    return value


def check_keys(data: Mapping[str, Any], allowed: Iterable[str], path: str) -> None:
    """Refuse the first key that is not allowed."""
    names = tuple(allowed)
    for key in data:
        if key not in names:
            raise FieldError(f"{path}.{key}", "one of " + ", ".join(names), shown(key), names)


def choice(value: object, names: Iterable[str], path: str) -> str:
    """One of the given names."""
    allowed = tuple(names)
    if not isinstance(value, str) or value not in allowed:
        text = ", ".join(allowed[:-1]) + " or " + allowed[-1]
        raise FieldError(path, text, shown(value), allowed)
    return value


def integer(value: object, path: str, *, minimum: int | None = None) -> int:
    """An integer, not a boolean, at least `minimum`; 3.0 (a Lua float) counts as 3."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(path, "an integer", shown(value))
    if minimum is not None and value < minimum:
        raise FieldError(path, f"an integer of at least {minimum}", shown(value))
    return value


def number(value: object, path: str) -> float:
    """A finite number, not a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(path, "a number", shown(value))
    return float(value)


def boolean(value: object, path: str) -> bool:
    """True or False and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise FieldError(path, "true or false", shown(value))
    return value


def duration(value: object, path: str) -> float:
    """Seconds; a number counts milliseconds, a text follows the duration grammar. Rule: GC6.

    The sign is kept: what a value of 0 or below means is for the field to say.
    """
    expected = 'a number of milliseconds or a duration such as "1.5s"'
    if isinstance(value, str):
        try:
            return parse_duration(value) / 1e9
        except (ValueError, ProcessError):
            raise FieldError(path, expected, shown(value)) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(path, expected, shown(value))
    return value / 1e3


def strings(value: object, path: str, *, allow_empty: bool = False) -> tuple[str, ...]:
    """A text or a list of non-empty texts, as a tuple."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or (not items and not allow_empty):
        raise FieldError(path, "a text or a list of texts", shown(value))
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item:
            raise FieldError(f"{path}[{index}]", "a non-empty text", shown(item))
    return tuple(items)
