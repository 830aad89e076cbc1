"""Entry data into the attrs model of its kind: strict, and every mistake with its path.

cattrs does the walking; the hooks here make it strict. By itself it turns "7" into 7, any value
into a text, a text into a list of letters, and lets unknown fields pass.

Rules: I10, LD4 (unknown or missing field, wrong type or value), LD5 (choices to guess from), PG2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn

from trio_actors import fields as read
from trio_actors.fields import FieldError, shown

from .fields import (
    Duration,
    Ref,
    Text,
    Texts,
    Within,
    ZeroIsDefault,
    bare,
    describe,
    mark_of,
    types_of,
)
from .ids import id_text
from .problems import Path, listed

Hook = Callable[[Any, Any], Any]


@attrs.frozen(slots=True)
class Mistake:
    """One field that does not fit the model."""

    path: Path
    expected: str
    got: str
    # Names that were possible here, for "did you mean".
    choices: tuple[str, ...] = ()
    # The mistake is the name of the field, so the key is the place to show.
    is_key: bool = False
    # A required field is not there, so the mapping around it is the place to show.
    is_missing: bool = False
    # The nearest known name, when it is known already.
    hint: str | None = None


def structure(data: Mapping[str, Any], model: type[Any]) -> Any:
    """The model, or the list of every `Mistake` in the data."""
    try:
        return _STRICT.structure(data, model)
    except BaseValidationError as error:
        return list(_mistakes(error, ()))
    except FieldError as error:
        return [_of_field_error(error, ())]


def structure_known(data: Mapping[str, Any], model: type[Any]) -> Any:
    """Like `structure`, but fields that the model does not know are free. Rule: LD7 (meta)."""
    known = {field.name for field in attrs.fields(model)}
    return structure({key: value for key, value in data.items() if key in known}, model)


def _mistakes(error: BaseValidationError, path: Path) -> Iterator[Mistake]:
    for exc in error.exceptions:
        note = _note(exc)
        where = path
        if isinstance(note, AttributeValidationNote):
            where = (*path, note.name)
        elif note is not None:
            where = (*path, note.index)
        if isinstance(exc, BaseValidationError):
            yield from _mistakes(exc, where)
        elif isinstance(exc, ForbiddenExtraKeysError):
            names = tuple(field.name for field in attrs.fields(exc.cl))
            expected = listed(names, limit=20) if names else "no field here"
            for key in sorted(exc.extra_fields):
                yield Mistake((*where, key), expected, shown(key), names, is_key=True)
        elif isinstance(exc, FieldError):
            yield _of_field_error(exc, where)
        elif isinstance(exc, KeyError) and isinstance(note, AttributeValidationNote):
            yield Mistake(where, describe(note.type), "nothing", is_missing=True)
        else:  # the validator of a plugin's model
            yield Mistake(where, "a value that the kind accepts", f"{type(exc).__name__}: {exc}")


def _note(exc: BaseException) -> AttributeValidationNote | IterableValidationNote | None:
    for note in getattr(exc, "__notes__", ()):
        if isinstance(note, AttributeValidationNote | IterableValidationNote):
            return note
    return None


def _of_field_error(error: FieldError, path: Path) -> Mistake:
    return Mistake((*path, *split_path(error.path)), error.expected, error.found, error.choices)


def split_path(text: str) -> Path:
    """The path that a text such as `pool.sizes[0]` means.

    >>> split_path("pool.sizes[0]"), split_path("")
    (('pool', 'sizes', 0), ())
    """
    parts: list[str | int] = []
    for part in text.replace("[", ".[").split("."):
        if part:
            parts.append(int(part[1:-1]) if part.startswith("[") else part)
    return tuple(parts)


# --- the strict hooks ------------------------------------------------------------------------


def _require(holds: bool, value: Any, annotation: Any) -> None:
    if not holds:
        raise FieldError("", describe(annotation), shown(value))


def _integer(value: Any, annotation: Any) -> int:
    limits = mark_of(annotation, Within)
    _require(isinstance(value, int) and not isinstance(value, bool), value, annotation)
    _require(limits is None or limits.holds(value), value, annotation)
    return int(value)


def _number(value: Any, annotation: Any) -> float:
    limits = mark_of(annotation, Within)
    _require(isinstance(value, int | float) and not isinstance(value, bool), value, annotation)
    _require(limits is None or limits.holds(value), value, annotation)
    return read.number(value, "")


def _boolean(value: Any, annotation: Any) -> bool:
    return read.boolean(value, "")


def _text(value: Any, annotation: Any) -> str:
    _require(isinstance(value, str), value, annotation)
    _require(annotation != Text or value != "", value, annotation)
    return str(value)


def _reference(value: Any, annotation: Any) -> str:
    text = id_text(value)
    if not text:
        raise FieldError("", describe(annotation), shown(value))
    return text


def _duration(value: Any, annotation: Any) -> float:
    seconds = read.duration(value, "")
    if seconds < 0:
        raise FieldError("", "a duration that is not negative", shown(value))
    return seconds


def _literal(value: Any, annotation: Any) -> Any:
    choices = get_args(annotation)
    if isinstance(value, bool) or value not in choices:
        names = tuple(str(choice) for choice in choices)
        raise FieldError("", listed(names), shown(value), names)
    return value


def _each(converter: Converter, items: list[tuple[Any, Any]], item_type: Any) -> list[Any]:
    """The items structured; what is wrong with any of them is raised as one group."""
    done: list[Any] = []
    errors: list[Exception] = []
    for index, value in items:
        try:
            done.append(converter.structure(value, item_type))
        except (BaseValidationError, FieldError) as error:
            note = IterableValidationNote("", index, item_type)
            error.__notes__ = [*getattr(error, "__notes__", ()), note]
            errors.append(error)
    if errors:
        raise IterableValidationError("items", errors, list)
    return done


def _sequence_hook(converter: Converter, annotation: Any) -> Hook:
    item_type = get_args(annotation)[0]

    def hook(value: Any, _: Any) -> tuple[Any, ...]:
        _require(isinstance(value, list | tuple), value, annotation)
        return tuple(_each(converter, list(enumerate(value)), item_type))

    return hook


def _mapping_hook(converter: Converter, annotation: Any) -> Hook:
    item_type = get_args(annotation)[1]

    def hook(value: Any, _: Any) -> dict[str, Any]:
        _require(isinstance(value, Mapping), value, annotation)
        return dict(zip(value, _each(converter, list(value.items()), item_type), strict=True))

    return hook


def _model_hook(converter: Converter, model: type[Any]) -> Hook:
    inner: Hook = make_dict_structure_fn(
        model, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True
    )

    cls: Any = model  # mypy takes a narrowed type[Any] for unhashable
    types = types_of(cls)
    defaults = {
        field.name: field.default
        for field in attrs.fields(model)
        if mark_of(types[field.name], ZeroIsDefault) is not None
    }

    def hook(value: Any, _: Any) -> Any:
        _require(isinstance(value, Mapping), value, model)
        given = {k: v for k, v in value.items() if not (v == "" and k in defaults)}
        made = inner(given, model)
        zero = {name: default for name, default in defaults.items() if getattr(made, name) == 0}
        return attrs.evolve(made, **zero) if zero else made

    return hook


def _strict_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    # The hook registered last is asked first.
    hooks: tuple[tuple[Callable[[Any], bool], Hook], ...] = (
        (lambda t: bare(t) is str, _text),
        (lambda t: bare(t) is int, _integer),
        (lambda t: bare(t) is float, _number),
        (lambda t: get_origin(t) is Literal, _literal),
        (lambda t: mark_of(t, Ref) is not None, _reference),
        (lambda t: mark_of(t, Duration) is not None, _duration),
    )
    for applies, hook in hooks:
        converter.register_structure_hook_func(applies, hook)
    # A hook for a class comes before all predicates, and cattrs has lenient ones for these.
    plain: dict[type, Hook] = {str: _text, int: _integer, float: _number, bool: _boolean}
    for cls, hook in plain.items():
        converter.register_structure_hook(cls, hook)
    factories: tuple[tuple[Callable[[Any], bool], Callable[[Converter, Any], Hook]], ...] = (
        (lambda t: get_origin(t) is tuple, _sequence_hook),
        (lambda t: get_origin(t) in (dict, Mapping), _mapping_hook),
        (attrs.has, _model_hook),
    )
    for applies, factory in factories:
        converter.register_structure_hook_factory(
            applies, lambda annotation, make=factory: make(converter, annotation)
        )
    converter.register_structure_hook_func(
        lambda t: t == Texts, lambda value, _: read.strings(value, "", allow_empty=True)
    )
    return converter


_STRICT = _strict_converter()
