"""Typed messages as plain data and back, for messages that cross a language or a boundary (M27)."""

from __future__ import annotations

from typing import Any

import cattrs
import cattrs.gen

from trio_actors._core.errors import ErrorKind, make_error

converter = cattrs.Converter(forbid_extra_keys=True)


def to_plain(value: Any) -> Any:
    """attrs objects as dictionaries of their fields, in depth."""
    return converter.unstructure(value)


def from_plain(data: Any, cls: type) -> Any:
    """An object of `cls` from a dictionary, or from nothing if it has no required fields.

    Raises:
        ProcessInvalid: the data does not fit, naming the fields.
    """
    if data is None or data == []:  # an empty table arrives as an empty list
        data = {}
    try:
        return converter.structure(data, cls)
    except Exception as exc:
        problems = "; ".join(cattrs.transform_error(exc))
        raise make_error(ErrorKind.INVALID, f"not a {cls.__name__}: {problems}") from exc
