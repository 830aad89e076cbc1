"""JSON Schema validation. Rules: J5, J7, J8, J9."""

import pytest

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
