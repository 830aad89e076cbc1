"""JSON Schema validation. Rules: J5, J7, J8, J9."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_actors._core.errors import ProcessInvalid
from trio_actors.schemas import SchemaError, compile_schema, validate

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "a/b": {"type": "object"},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "pointer", "reason"),
    [
        ({}, "", 'expected property "name", found {} (schema /required)'),
        (
            {"name": 3},
            "/name",
            "expected string, found 3 (schema /properties/name/type)",
        ),
        (
            {"name": "x", "age": -1},
            "/age",
            "expected minimum 0, found -1 (schema /properties/age/minimum)",
        ),
        (
            {"name": "x", "tags": ["a", "c"]},
            "/tags/1",
            'expected one of ["a", "b"], found "c" (schema /properties/tags/items/enum)',
        ),
        (
            {"name": "x", "a/b": 1},
            "/a~1b",
            "expected object, found 1 (schema /properties/a~1b/type)",
        ),
        (
            {"name": "x", "nmae": 1},
            "",
            'expected no further properties than the declared ones, so no "nmae", '
            'found {"name": "x", "nmae": 1} (schema /additionalProperties)',
        ),
    ],
)
def test_a_violation_has_pointer_expected_and_found(
    value: object, pointer: str, reason: str
) -> None:
    """J7, J8: pointer into the value, path into the schema."""
    violation = compile_schema(PERSON).check(value)
    assert violation is not None
    assert (violation.pointer, violation.reason) == (pointer, reason)


def test_a_good_value_passes() -> None:
    """J5; tuples count as arrays."""
    assert compile_schema(PERSON).check({"name": "x", "tags": ("a",)}) is None


def test_an_empty_lua_table_is_both_array_and_object() -> None:
    """J7: at the top and deep down, but it has no properties."""
    schema = compile_schema({"type": "array", "items": {"type": "object"}})
    assert schema.check([[], []], lua=True) is None
    assert schema.check([[]]) is not None
    assert schema.check([[1]], lua=True) is not None
    violation = compile_schema(PERSON).check([], lua=True)
    assert violation is not None
    assert violation.expected == 'property "name"'


OBJECT_OR_NULL = {"anyOf": [{"type": "object"}, {"type": "null"}]}
NESTED = {"type": "object", "properties": {"b": {"type": "object"}}}


@pytest.mark.parametrize(
    ("schema", "value", "good"),
    [
        (OBJECT_OR_NULL, [], True),
        ({"oneOf": [{"type": "string"}, {"type": "object"}]}, [], True),
        ({"oneOf": [{"type": "array"}, {"type": "object"}]}, [], True),
        ({"properties": {"a": {"anyOf": [NESTED, {"type": "null"}]}}}, {"a": {"b": []}}, True),
        ({"anyOf": [{"anyOf": [NESTED]}]}, {"b": []}, True),
        ({"const": {}}, [], True),
        ({"enum": [{}, 3]}, [], True),
        ({"if": {"type": "object"}, "else": False}, [], True),
        ({"not": {"type": "array"}}, [], True),
        ({"items": OBJECT_OR_NULL}, [[], None, []], True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, [], False),
        ({"anyOf": [{**NESTED, "required": ["c"]}, {"type": "null"}]}, {"b": []}, False),
        ({"items": OBJECT_OR_NULL}, [[], 3], False),
        ({"type": "array", "minItems": 1}, [], False),
    ],
)
def test_an_empty_lua_table_fits_an_alternative_too(schema: Any, value: Any, good: bool) -> None:
    """J7: as array or as object, whichever the schema accepts; what is not empty is what it is."""
    assert (compile_schema(schema).check(value, lua=True) is None) == good
    if good and schema != {"oneOf": [{"type": "array"}, {"type": "object"}]}:
        assert compile_schema(schema).check(value) is not None


EMPTIES = st.recursive(
    st.just([]) | st.integers(0, 1),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from("ab"), inner, min_size=1)
    ),
    max_leaves=4,
)
TYPES = st.sampled_from([{"type": "object"}, {"type": "array"}, {"type": "integer"}, {}])
SCHEMAS = st.recursive(
    TYPES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2).map(lambda s: {"anyOf": s})
        | st.dictionaries(st.sampled_from("ab"), inner).map(lambda p: {"properties": p})
        | inner.map(lambda s: {"type": "array", "items": s})
    ),
    max_leaves=5,
)


def readings(value: Any) -> list[Any]:
    """The value with every choice of objects for its empty lists."""
    if value == []:
        return [[], {}]
    if isinstance(value, list):
        return [list(items) for items in product(*map(readings, value))]
    if isinstance(value, dict):
        return [dict(zip(value, v, strict=True)) for v in product(*map(readings, value.values()))]
    return [value]


@given(SCHEMAS, EMPTIES)
def test_a_lua_value_is_good_if_one_reading_of_its_empty_tables_is(schema: Any, value: Any) -> None:
    """J7: compared with trying all readings, which takes too long for large values."""
    compiled = compile_schema(schema)
    expected = any(compiled.check(reading) is None for reading in readings(value))
    assert (compiled.check(value, lua=True) is None) == expected


def test_schemas_are_cached_by_content() -> None:
    """J7: text and mapping share, and a later change of the mapping is not seen."""
    definition = {"type": "integer"}
    first = compile_schema(definition)
    assert compile_schema('{"type": "integer"}') is first
    definition["type"] = "string"
    assert first.check(3) is None
    assert compile_schema(definition).check(3) is not None


def test_a_remote_reference_is_never_fetched() -> None:
    """J8."""
    with pytest.raises(SchemaError, match="not fetched"):
        compile_schema({"$ref": "https://example.com/schema.json"})


@pytest.mark.parametrize("schema", ['{"type":', {"type": "nope"}, 3, ["x"], {"type": object()}])
def test_a_bad_schema_is_an_error(schema: object) -> None:
    """J8."""
    with pytest.raises(SchemaError):
        compile_schema(schema)


def test_other_drafts_by_their_name() -> None:
    """J8: `definitions` and boolean exclusiveMinimum are draft 4."""
    schema = compile_schema(
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "minimum": 3,
            "exclusiveMinimum": True,
        }
    )
    assert schema.check(3) is not None
    assert schema.check(4) is None


def test_what_is_no_json_value_is_a_violation() -> None:
    """A Python object that JSON does not know, where the schema looks at it."""
    violation = compile_schema({"type": "object"}).check(object())
    assert violation is not None
    assert violation.expected == "a JSON value"


@pytest.mark.parametrize(
    ("schema", "data", "text"),
    [
        (None, 1, "schema is required"),
        ({}, None, "data is required"),
        ({"type": "string"}, 1, "validation failed at /: expected string, found 1 (schema /type)"),
        ({"type": "nope"}, 1, "invalid schema"),
    ],
)
def test_validate_raises_invalid(schema: object, data: object, text: str) -> None:
    """J5, J9."""
    with pytest.raises(ProcessInvalid) as caught:
        validate(schema, data)
    assert str(caught.value).startswith(text)


def test_validate_returns_for_good_data() -> None:
    """J9; false is data."""
    validate({"type": "boolean"}, False)


@pytest.mark.parametrize(
    "schema", [{"uniqueItems": True}, {"type": "string"}, {"items": {"$ref": "#"}}, {"enum": [[1]]}]
)
@pytest.mark.parametrize("what", ["contains itself", "occurs twice"])
def test_a_value_without_an_end_is_no_json(schema: dict[str, Any], what: str) -> None:
    """J5: it is refused; it is not walked for ever."""
    value: list[Any] = [1]
    if what == "contains itself":
        value += [value, value]
    else:
        for _ in range(22):
            value = [value, value]
    with pytest.raises(ProcessInvalid, match="expected a JSON value, found more than 1000000"):
        validate(schema, value)
