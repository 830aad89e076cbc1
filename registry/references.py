"""Which entries an entry names, found by the types of its model's fields.

Rules: LD6 (references are all fields that name entries), GC8 (a bare name means the own namespace),
PG2 (`references(model)`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

import attrs

from .fields import Ref, mark_of, types_of, without_none
from .ids import resolve
from .problems import Path


@attrs.frozen(slots=True)
class Reference:
    """One field of an entry that names another entry."""

    path: Path
    id: str
    ref: Ref = attrs.field(factory=Ref)


def references_of(model: Any, prefix: Path = ()) -> tuple[Reference, ...]:
    """Every reference in a model, in field order."""
    found: list[Reference] = []

    def note(path: Path, value: str, ref: Ref) -> str:
        found.append(Reference(path, value, ref))
        return value

    _walk(type(model), model, prefix, note)
    return tuple(found)


def resolved(model: Any, namespace: str) -> Any:
    """The model with every reference written in full. Rule: GC8."""
    return _walk(type(model), model, (), lambda path, value, ref: resolve(value, namespace))


def _walk(annotation: Any, value: Any, path: Path, visit: Callable[[Path, str, Ref], str]) -> Any:
    """The value with every reference replaced by what `visit` makes of it."""
    annotation = without_none(annotation)
    if value is None:
        return None
    ref = mark_of(annotation, Ref)
    if ref is not None:
        return visit(path, value, ref)
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if attrs.has(type(value)):
        return _walk_model(value, path, visit)
    args = get_args(annotation)
    if isinstance(value, tuple | list) and args:
        return tuple(_walk(args[0], v, (*path, i), visit) for i, v in enumerate(value))
    if isinstance(value, Mapping) and len(args) == 2:
        return {key: _walk(args[1], v, (*path, key), visit) for key, v in value.items()}
    return value


def _walk_model(model: Any, path: Path, visit: Callable[[Path, str, Ref], str]) -> Any:
    types = types_of(model.__class__)
    changes = dict(_changes(model, types, path, visit))
    return attrs.evolve(model, **changes) if changes else model


def _changes(
    model: Any, types: Mapping[str, Any], path: Path, visit: Callable[[Path, str, Ref], str]
) -> Iterator[tuple[str, Any]]:
    for field in attrs.fields(type(model)):
        old = getattr(model, field.name)
        new = _walk(types[field.name], old, (*path, field.name), visit)
        if new is not old and new != old:
            yield field.alias or field.name, new
