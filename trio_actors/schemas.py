"""JSON Schema: compiled once per content, checked in about a microsecond, errors with a pointer.

Rules: J5-J9. Language: JSON Schema 2020-12, other drafts by `$schema`, by the library jsonschema-rs
(1.4 us for a small call, against 12 us for fastjsonschema and 248 us for jsonschema). A remote
`$ref` is never fetched. An empty Lua table reaches Python as an empty list (M27), so values from
Lua are checked with `lua=True`: an empty list is then good where an object is wanted (J7).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import attrs
import jsonschema_rs

from ._core.errors import ErrorKind, make_error
from .fields import shown

__all__ = ["Schema", "SchemaError", "Violation", "compile_schema", "validate"]

CACHE_SIZE = 1024
MAX_TRIES = 32  # ways to read the empty tables of one value
MAX_NODES = 1_000_000  # of one value; what occurs twice, or in itself, is checked each time
WALKING = ('"const"', '"enum"', '"uniqueItems"', '"$ref"', '"$dynamicRef"', '"$recursiveRef"')
CONTAINERS = frozenset({dict, list, tuple})
_cache: dict[str, Schema] = {}


class SchemaError(ValueError):
    """A text or mapping that is no usable JSON Schema."""


@attrs.frozen(slots=True)
class Violation:
    """The first place where a value breaks its schema."""

    pointer: str  # RFC 6901, into the value; "" is the whole value
    schema_path: str
    expected: str
    found: str

    @property
    def reason(self) -> str:
        """Expected and found, and the place in the schema that says so."""
        return f"expected {self.expected}, found {self.found} (schema {self.schema_path})"

    def __str__(self) -> str:
        return f"at {shown_pointer(self.pointer)}: {self.reason}"


def shown_pointer(pointer: str) -> str:
    """A pointer for people: the whole value is `/`."""
    return pointer or "/"


def _refuse_remote(uri: str) -> Any:
    raise ValueError(f"remote references are not fetched: {uri}")


def _pointer(parts: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


ENDLESS = Violation("", "/", "a JSON value", f"more than {MAX_NODES} values in each other")


@attrs.frozen(slots=True, eq=False)
class Schema:
    """A compiled schema."""

    definition: Any
    _validator: Any
    _walks: bool  # looks at a value deeper than the schema itself is

    def check(self, value: object, *, lua: bool = False) -> Violation | None:
        """The first violation, or None. `lua`: an empty list also counts as an empty object."""
        if self._walks and not _finite(value):
            return ENDLESS
        try:
            if self._validator.is_valid(value):
                return None
        except ValueError as error:
            return Violation("", "/", "a JSON value", str(error))
        if not self._walks and not _finite(value):
            return ENDLESS
        if lua:
            value = self._with_empty_objects(value)
        first = next(self._validator.iter_errors(value), None)
        if first is None or (lua and self._fits(value, count(1))):
            return None
        return self._violation(first)

    def _with_empty_objects(self, value: Any) -> Any:
        """The value with `{}` in place of `[]` where the schema asks for an object.

        Each round settles one level; what a round cannot mend is a violation.
        """
        mended: set[tuple[Any, ...]] = set()
        while True:
            places = {
                tuple(error.instance_path)
                for error in self._validator.iter_errors(value)
                if error.kind.name == "type" and error.instance == []
            } - mended
            if not places:
                return value
            for place in places:
                value = _replaced(value, place)
            mended |= places

    def _fits(self, value: Any, tries: Iterator[int]) -> bool:
        """Whether some more of the empty lists, taken as objects, make the value valid.

        Every error has to go, so what mends the first is tried, one way after the other.
        """
        if next(tries) > MAX_TRIES:
            return False
        first = next(self._validator.iter_errors(value), None)
        if first is None:
            return True
        for places in _remedies([first]):
            mended = value
            for place in places:
                mended = _replaced(mended, place)
            if self._fits(mended, tries):
                return True
        return False

    def _violation(self, error: Any) -> Violation:
        keyword = error.schema_path[-1] if error.schema_path else "false schema"
        wanted = self.definition
        for part in error.schema_path:
            try:
                wanted = wanted[part]
            except (KeyError, IndexError, TypeError):
                wanted = None
                break
        expected = _expected(str(keyword), wanted, error)
        return Violation(
            _pointer(error.instance_path),
            _pointer(error.schema_path),
            expected,
            shown(error.instance),
        )


def _remedies(errors: Iterable[Any]) -> Iterator[set[tuple[Any, ...]]]:
    """Places whose empty lists may be meant as objects, one set per way to mend the errors.

    An alternative (`anyOf`, `oneOf`) that fails inside the value is a way of its own.
    """
    errors = list(errors)
    empty = {tuple(error.instance_path) for error in errors if error.instance == []}
    if empty:
        yield empty
        return
    for error in errors:
        for branch in getattr(error.kind, "context", ()):
            yield from _remedies(branch)


def _expected(keyword: str, wanted: Any, error: Any) -> str:
    """What the violated keyword asks for, in words."""
    match error.kind.name:
        case "type":
            return " or ".join(wanted) if isinstance(wanted, list) else str(wanted)
        case "required":
            return f"property {shown(error.kind.property)}"
        case "additionalProperties":
            names = ", ".join(shown(name) for name in error.kind.unexpected)
            return f"no further properties than the declared ones, so no {names}"
        case "enum":
            return "one of " + shown(wanted, 120)
        case "const":
            return shown(wanted, 120)
        case "anyOf" | "oneOf":
            return f"a value that fits {keyword}"
    if wanted is None:
        return str(error.message)
    return f"{keyword} {shown(wanted)}"


def _replaced(value: Any, place: tuple[Any, ...]) -> Any:
    """A copy of the value along `place`, with `{}` there."""
    if not place:
        return {}
    head, rest = place[0], place[1:]
    if isinstance(value, Mapping):
        return {**value, head: _replaced(value[head], rest)}
    items = list(value)
    items[head] = _replaced(items[head], rest)
    return items


def compile_schema(definition: object) -> Schema:
    """The compiled schema of a mapping, a boolean or a JSON text; cached by content. Rule: J7.

    Raises: SchemaError.
    """
    if isinstance(definition, str):
        try:
            definition = json.loads(definition)
        except (ValueError, RecursionError) as error:
            raise SchemaError(f"schema is not JSON: {error}") from None
    if isinstance(definition, list) and not definition:
        definition = {}
    if not isinstance(definition, Mapping | bool):
        raise SchemaError(f"a schema is a mapping, not {shown(definition)}")
    try:
        key = json.dumps(definition, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError(f"schema is not JSON: {error}") from None
    schema = _cache.get(key)
    if schema is None:
        # The copy keeps later changes of the caller's mapping away from the cache.
        copy = json.loads(key)
        try:
            validator = jsonschema_rs.validator_for(copy, retriever=_refuse_remote)
        except jsonschema_rs.ValidationError as error:
            where = _pointer(error.instance_path)
            raise SchemaError(
                f"invalid schema at {shown_pointer(where)}: {error.message}"
            ) from None
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise SchemaError(f"invalid schema: {error}") from None
        if len(_cache) >= CACHE_SIZE:
            _cache.pop(next(iter(_cache)))
        walks = any(word in key for word in WALKING)
        schema = _cache[key] = Schema(copy, validator, walks)
    return schema


def _finite(value: object) -> bool:
    """Whether it can be walked to its end: what is shared counts each time, as in JSON."""
    if type(value) not in CONTAINERS:
        return True
    left, count = [value], 0
    while left:
        items: Any = left.pop()
        count += len(items)
        if count > MAX_NODES:
            return False
        items = items.values() if type(items) is dict else items
        left += [item for item in items if type(item) in CONTAINERS]
    return True


def validate(schema: object, data: object, *, lua: bool = False) -> None:
    """Return if the data fits the schema. Rules: J5, J9.

    Raises: ProcessInvalid with the JSON pointer of the first violation, or for a bad schema.
    """
    if schema is None:
        raise make_error(ErrorKind.INVALID, "schema is required")
    if data is None:
        raise make_error(ErrorKind.INVALID, "data is required")
    try:
        compiled = compile_schema(schema)
    except SchemaError as error:
        raise make_error(ErrorKind.INVALID, str(error)) from None
    violation = compiled.check(data, lua=lua)
    if violation is not None:
        raise make_error(
            ErrorKind.INVALID,
            f"validation failed {violation}",
            details={"pointer": violation.pointer, "schema_path": violation.schema_path},
        )
