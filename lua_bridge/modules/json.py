"""The Python half of the Lua module `json`: validation by JSON Schema.  Rules J5-J8.

Values cross as JSON text. A Lua table that is empty arrives as ``[]``; inside a schema that was a
table it means ``{}`` wherever the schema language wants an object.
"""

from __future__ import annotations

import json
from typing import Any

from lua_bridge.modules import Functions, LuaModule, Services
from trio_actors import ErrorKind, make_error
from trio_actors.schemas import SchemaError, compile_schema, validate

_LISTS = frozenset({"required", "enum", "type", "examples", "default", "const"})
"""Keywords whose empty table stays a list."""
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords with schemas by name; the names are no keywords, whatever they are."""


def _objects_for_empty(schema: Any) -> Any:
    if schema == []:
        return {}
    if isinstance(schema, list):
        return [_objects_for_empty(item) for item in schema]
    if isinstance(schema, dict):
        return {key: _member(key, item) for key, item in schema.items()}
    return schema


def _member(keyword: str, value: Any) -> Any:
    if keyword in _LISTS:
        return value
    if keyword == "dependentRequired":  # lists by name
        return value or {}
    if keyword in _NAMED and isinstance(value, dict):
        return {name: _objects_for_empty(item) for name, item in value.items()}
    return _objects_for_empty(value)


def _no_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _loaded(text: str | bytes, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise make_error(ErrorKind.INVALID, f"{what} is not JSON: {error}") from None


def _validate(
    schema: str | bytes, data: str | bytes, schema_is_table: bool, data_is_table: bool
) -> bool:
    definition, value = _loaded(schema, "schema"), _loaded(data, "data")
    if schema_is_table:
        definition = _objects_for_empty(definition)
    if value is None and not data_is_table:
        return _validate_null(definition)  # the text null is data; nil is none
    validate(definition, value, lua=data_is_table)
    return True


def _validate_null(definition: Any) -> bool:
    try:
        violation = compile_schema(definition).check(None)
    except SchemaError as error:
        raise make_error(ErrorKind.INVALID, str(error)) from None
    if violation is not None:
        raise make_error(ErrorKind.INVALID, f"validation failed {violation}")
    return True


def _functions(services: Services) -> Functions:
    return {"validate": _validate}


MODULE = LuaModule("json", functions=_functions)
