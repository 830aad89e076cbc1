"""Contracts as data. Rules: CT1-CT4, CT11."""

from typing import Any

import pytest

from trio_actors._core.errors import ErrorKind, ProcessError
from trio_actors.fields import FieldError
from trio_actors.functions.contract_model import (
    Binding,
    Catalogue,
    Definition,
    parse_binding,
    parse_definition,
    parse_query,
)

OBJECT = {"format": "application/schema+json", "definition": {"type": "object"}}


def definition(name: str = "app:sender", *methods: str) -> Definition:
    return parse_definition(name, {"methods": [{"name": m} for m in methods or ("send",)]})


def binding(name: str = "app:smtp", contract: str = "sender", **fields: Any) -> Binding:
    part = {"contract": contract, "methods": {"send": "smtp_send"}} | fields
    return parse_binding(name, {"contracts": [part]})


def test_a_definition_keeps_its_schemas_and_compiles_json_ones() -> None:
    """CT1: other formats are stored and not checked; {} and null are no schema."""
    parsed = parse_definition(
        "app:sender",
        {
            "methods": [
                {
                    "name": "send",
                    "description": "Sends",
                    "input_schemas": [
                        OBJECT,
                        None,
                        {},
                        {"format": "text/x-proto", "definition": "message"},
                        {"format": "application/schema+json", "definition": '{"type": "null"}'},
                    ],
                }
            ]
        },
    )
    method = parsed.method("send")
    assert method is not None
    assert [s.compiled is not None for s in method.inputs] == [True, False, False, False, True]
    assert method.as_data()["input_schemas"][3] == {
        "format": "text/x-proto",
        "definition": "message",
    }
    assert parsed.method("other") is None


def test_a_contract_without_methods_is_allowed() -> None:
    """CT1."""
    assert parse_definition("app:empty", {"methods": []}).methods == ()


@pytest.mark.parametrize(
    ("methods", "path"),
    [
        ([{"name": ""}], "methods[0].name"),
        ([{"name": "a"}, {"name": "a"}], "methods[1].name"),
        (
            [{"name": "a", "input_schemas": [{"definition": {"type": "object"}}]}],
            "methods[0].input_schemas[0].format",
        ),
        (
            [{"name": "a", "output_schemas": [{**OBJECT, "definition": {"type": "nope"}}]}],
            "methods[0].output_schemas[0].definition",
        ),
        ([{"name": "a", "schema": {}}], "methods[0].schema"),
        (None, "methods"),
    ],
)
def test_a_bad_definition_names_the_field(methods: Any, path: str) -> None:
    """CT1, CT2."""
    with pytest.raises(FieldError) as caught:
        parse_definition("app:sender", {"methods": methods})
    assert caught.value.path == path


def test_bare_names_in_a_binding_get_its_namespace() -> None:
    """GC8."""
    parsed = binding(default=True, context_required=["tenant"])
    [bound] = parsed.contracts
    assert bound.contract == "app:sender"
    assert bound.methods == {"send": "app:smtp_send"}
    assert (bound.default, bound.context_required) == (True, ("tenant",))


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"contracts": []}, "contracts"),
        ({}, "contracts"),
        ({"contracts": [{"methods": {}}]}, "contracts[0].contract"),
        ({"contracts": [{"contract": "a", "default": "yes"}]}, "contracts[0].default"),
        ({"contracts": [{"contract": "a"}, {"contract": "a"}]}, "contracts[1].contract"),
        ({"contracts": [{"contract": "a", "methods": {"x": 3}}]}, "contracts[0].methods.x"),
    ],
)
def test_a_bad_binding_names_the_field(data: object, path: str) -> None:
    """CT2."""
    with pytest.raises(FieldError) as caught:
        parse_binding("app:smtp", data)
    assert caught.value.path == path


def refused(kind: ErrorKind, text: str) -> Any:
    class Refused:
        def __enter__(self) -> None:
            self.context = pytest.raises(ProcessError, match=text)
            self.caught = self.context.__enter__()

        def __exit__(self, *info: Any) -> Any:
            result = self.context.__exit__(*info)
            assert self.caught.value.kind is kind
            return result

    return Refused()


def test_the_catalogue_refuses_what_does_not_fit() -> None:
    """CT2: undefined contract, missing, surplus and unknown functions."""
    catalogue = Catalogue().with_definition(definition("app:sender", "send", "stop"))
    with refused(ErrorKind.INVALID, "contract 'app:other' is not defined"):
        catalogue.with_binding(binding(contract="other"))
    with refused(ErrorKind.INVALID, "method 'stop' .* has no function"):
        catalogue.with_binding(binding())
    with refused(ErrorKind.INVALID, "method 'go' .* is not defined"):
        catalogue.with_binding(binding(methods={"send": "a", "stop": "b", "go": "c"}))
    with refused(ErrorKind.INVALID, "function 'app:b' does not exist"):
        catalogue.with_binding(binding(methods={"send": "a", "stop": "b"}), {"app:a"}.__contains__)
    with refused(ErrorKind.INVALID, "in use by app:smtp"):
        Catalogue().with_definition(definition()).with_binding(binding()).without_definition(
            "app:sender"
        )


def test_a_second_default_is_refused_and_the_default_can_move() -> None:
    """CT3, CT6."""
    catalogue = Catalogue().with_definition(definition()).with_binding(binding(default=True))
    with refused(ErrorKind.ALREADY_EXISTS, "default binding already: app:smtp"):
        catalogue.with_binding(binding("app:other", default=True))
    moved = catalogue.with_binding(binding(default=False)).with_binding(
        binding("app:other", default=True)
    )
    default = moved.default("app:sender")
    assert default is not None
    assert default.id == "app:other"
    assert moved.implementations("app:sender") == ["app:other", "app:smtp"]
    assert catalogue.implementations("app:sender") == ["app:smtp"]


def test_a_definition_update_may_not_break_a_binding() -> None:
    """CT3."""
    catalogue = Catalogue().with_definition(definition()).with_binding(binding())
    with refused(ErrorKind.INVALID, "method 'more' .* has no function"):
        catalogue.with_definition(definition("app:sender", "send", "more"))


def test_a_method_of_two_contracts_belongs_to_the_first() -> None:
    """CT4."""
    both = parse_binding(
        "app:both",
        {
            "contracts": [
                {"contract": "a", "methods": {"send": "one"}},
                {"contract": "b", "methods": {"send": "two", "stop": "three"}},
            ]
        },
    )
    found = both.find("send")
    assert found is not None
    assert (found[0].contract, found[1]) == ("app:a", "app:one")
    assert both.find("nothing") is None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ns:b", {}),
        ("ns:b?", {}),
        ("ns:b?tenant=acme&n=3", {"tenant": "acme", "n": 3}),
        ("ns:b?a=true&b=false&c=True", {"a": True, "b": False, "c": "True"}),
        ("ns:b?a=1.5&b=-2&c=1e3&d=", {"a": 1.5, "b": -2, "c": "1e3", "d": ""}),
        ("ns:b?a=x%20y&a=second", {"a": "x y"}),
    ],
)
def test_queries_carry_typed_values(text: str, values: dict[str, Any]) -> None:
    """CT11."""
    assert parse_query(text) == ("ns:b", values)


@pytest.mark.parametrize("text", ["ns:b?x", "ns:b?=3", "ns:b?a=%zz"])
def test_a_bad_query_is_invalid(text: str) -> None:
    """8.2: bad query."""
    with refused(ErrorKind.INVALID, "invalid query"):
        parse_query(text)
