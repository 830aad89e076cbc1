"""Contracts as data: definitions, bindings, and a catalogue that is consistent at all times.

Rules: CT1 (schemas), CT2 and CT3 (what is refused), CT4 (several contracts), CT11 (queries).
The catalogue is a value: `with_…` and `without_…` give a new one or refuse, so a change set that
fails half-way leaves nothing behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

import attrs

from .._core.errors import ErrorKind, make_error
from ..fields import FieldError, as_mapping, boolean, check_keys, shown, strings
from ..schemas import Schema, SchemaError, compile_schema

__all__ = [
    "Binding",
    "Bound",
    "Catalogue",
    "Definition",
    "Method",
    "SchemaDef",
    "parse_binding",
    "parse_definition",
    "parse_query",
]

# Formats whose definitions are compiled and checked; others are only stored. Rule: CT1.
JSON_FORMATS = ("application/schema+json", "application/json", "json", "json-schema")


@attrs.frozen(slots=True)
class SchemaDef:
    """A schema as it is written down, and compiled if it is JSON Schema with content."""

    format: str
    definition: Any
    compiled: Schema | None

    def as_data(self) -> dict[str, Any]:
        """The form that `c:method(name)` shows."""
        return {"format": self.format, "definition": self.definition}


@attrs.frozen(slots=True)
class Method:
    """One method of a contract."""

    name: str
    description: str = ""
    inputs: tuple[SchemaDef, ...] = ()
    outputs: tuple[SchemaDef, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """`{name, description, input_schemas?, output_schemas?}`."""
        data: dict[str, Any] = {"name": self.name, "description": self.description}
        if self.inputs:
            data["input_schemas"] = [schema.as_data() for schema in self.inputs]
        if self.outputs:
            data["output_schemas"] = [schema.as_data() for schema in self.outputs]
        return data


@attrs.frozen(slots=True)
class Definition:
    """A contract: an id and its methods in the order written."""

    id: str
    methods: tuple[Method, ...] = ()
    description: str = ""
    _by_name: Mapping[str, Method] = attrs.field(init=False, eq=False, repr=False)

    @_by_name.default
    def _names(self) -> Mapping[str, Method]:
        return {method.name: method for method in self.methods}

    def method(self, name: str) -> Method | None:
        """The method of that name."""
        return self._by_name.get(name)


@attrs.frozen(slots=True)
class Bound:
    """One contract that a binding implements: method name to function id."""

    contract: str
    methods: Mapping[str, str]
    default: bool = False
    context_required: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class Binding:
    """An implementation of one or several contracts."""

    id: str
    contracts: tuple[Bound, ...]

    def for_contract(self, contract: str) -> Bound | None:
        """The part that implements a contract."""
        return next((bound for bound in self.contracts if bound.contract == contract), None)

    def find(self, method: str) -> tuple[Bound, str] | None:
        """The first listed contract with that method, and the function. Rule: CT4."""
        for bound in self.contracts:
            if method in bound.methods:
                return bound, bound.methods[method]
        return None


def parse_definition(definition_id: str, data: object, description: str = "") -> Definition:
    """Read the data of a `contract.definition`. Raises: FieldError (CT1, CT2)."""
    body = as_mapping(data, "data")
    check_keys(body, ("methods", "description"), "data")
    if not isinstance(body.get("methods"), list | tuple):
        raise FieldError("methods", "a list of methods", shown(body.get("methods")))
    methods: list[Method] = []
    for index, item in enumerate(body["methods"]):
        method = _parse_method(item, f"methods[{index}]")
        if any(other.name == method.name for other in methods):
            raise FieldError(f"methods[{index}].name", "a name used only once", shown(method.name))
        methods.append(method)
    return Definition(definition_id, tuple(methods), str(body.get("description", description)))


def _parse_method(item: object, path: str) -> Method:
    data = as_mapping(item, path)
    check_keys(data, ("name", "description", "input_schemas", "output_schemas"), path)
    name = data.get("name")
    if not isinstance(name, str) or not name:
        raise FieldError(f"{path}.name", "a method name", shown(name))
    schemas = {}
    for field in ("input_schemas", "output_schemas"):
        items = data.get(field)
        if items is not None and not isinstance(items, list | tuple):
            raise FieldError(f"{path}.{field}", "a list of schemas", shown(items))
        schemas[field] = tuple(
            _parse_schema(schema, f"{path}.{field}[{i}]") for i, schema in enumerate(items or ())
        )
    return Method(
        name, str(data.get("description", "")), schemas["input_schemas"], schemas["output_schemas"]
    )


def _parse_schema(item: object, path: str) -> SchemaDef:
    """Rule: CT1."""
    data = as_mapping({} if item is None else item, path)
    check_keys(data, ("format", "definition"), path)
    form, definition = data.get("format"), data.get("definition")
    if definition is None or definition in ({}, []):
        return SchemaDef(str(form or ""), None, None)
    if not isinstance(form, str) or not form:
        raise FieldError(f"{path}.format", "a format, since there is a definition", shown(form))
    if form not in JSON_FORMATS:
        return SchemaDef(form, definition, None)
    try:
        compiled = compile_schema(definition)
    except SchemaError as error:
        raise FieldError(f"{path}.definition", "a JSON Schema", str(error)) from None
    # A copy in the order in which it was written, which is the order of the documentation.
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return SchemaDef(form, json.loads(text), compiled)


def parse_binding(binding_id: str, data: object) -> Binding:
    """Read the data of a `contract.binding`; bare names get the entry's namespace (GC8).

    Raises: FieldError (CT2).
    """
    body = as_mapping(data, "data")
    check_keys(body, ("contracts",), "data")
    items = body.get("contracts")
    if not isinstance(items, list | tuple) or not items:
        raise FieldError("contracts", "a non-empty list of contracts", shown(items))
    namespace = binding_id.partition(":")[0]

    def resolve(value: object, path: str) -> str:
        if not isinstance(value, str) or not value:
            raise FieldError(path, "an entry id", shown(value))
        return value if ":" in value else f"{namespace}:{value}"

    bounds: list[Bound] = []
    for index, item in enumerate(items):
        path = f"contracts[{index}]"
        part = as_mapping(item, path)
        check_keys(part, ("contract", "default", "methods", "context_required"), path)
        contract = resolve(part.get("contract"), f"{path}.contract")
        if any(bound.contract == contract for bound in bounds):
            raise FieldError(f"{path}.contract", "a contract listed only once", shown(contract))
        methods = as_mapping(part.get("methods", {}), f"{path}.methods")
        bounds.append(
            Bound(
                contract,
                {
                    name: resolve(target, f"{path}.methods.{name}")
                    for name, target in methods.items()
                },
                boolean(part.get("default", False), f"{path}.default"),
                strings(
                    part.get("context_required", ()), f"{path}.context_required", allow_empty=True
                ),
            )
        )
    return Binding(binding_id, tuple(bounds))


@attrs.frozen(slots=True)
class Catalogue:
    """All definitions and bindings, consistent with each other."""

    definitions: Mapping[str, Definition] = attrs.field(factory=dict)
    bindings: Mapping[str, Binding] = attrs.field(factory=dict)
    # Looked up at each call of a contract (CT6), and an application may have many bindings.
    _defaults: Mapping[str, Binding] = attrs.field(init=False, eq=False, repr=False)

    @_defaults.default
    def _find_defaults(self) -> Mapping[str, Binding]:
        return {
            bound.contract: binding
            for binding in self.bindings.values()
            for bound in binding.contracts
            if bound.default
        }

    def implementations(self, contract: str) -> list[str]:
        """Ids of the bindings of a contract, sorted."""
        return sorted(b.id for b in self.bindings.values() if b.for_contract(contract))

    def default(self, contract: str) -> Binding | None:
        """The default binding of a contract."""
        return self._defaults.get(contract)

    def with_definition(self, definition: Definition) -> Catalogue:
        """Add or replace; ProcessInvalid if a binding would break. Rule: CT3."""
        new = attrs.evolve(self, definitions={**self.definitions, definition.id: definition})
        for name in self.implementations(definition.id):
            new._check_binding(self.bindings[name])
        return new

    def without_definition(self, definition_id: str) -> Catalogue:
        """Remove; ProcessInvalid while a binding uses it. Rule: CT3."""
        users = self.implementations(definition_id)
        if users:
            raise make_error(
                ErrorKind.INVALID,
                f"contract '{definition_id}' is in use by {', '.join(users)}",
            )
        kept = {key: value for key, value in self.definitions.items() if key != definition_id}
        return attrs.evolve(self, definitions=kept)

    def with_binding(
        self, binding: Binding, known: Callable[[str], bool] = lambda function: True
    ) -> Catalogue:
        """Add or replace. Rules: CT2, CT3.

        `known` says whether a function exists. Raises: ProcessInvalid, or ProcessAlreadyExists for
        a second default.
        """
        self._check_binding(binding, known)
        for bound in binding.contracts:
            other = self.default(bound.contract)
            if bound.default and other is not None and other.id != binding.id:
                raise make_error(
                    ErrorKind.ALREADY_EXISTS,
                    f"contract '{bound.contract}' has a default binding already: {other.id}",
                )
        return attrs.evolve(self, bindings={**self.bindings, binding.id: binding})

    def without_binding(self, binding_id: str) -> Catalogue:
        """Remove a binding."""
        kept = {key: value for key, value in self.bindings.items() if key != binding_id}
        return attrs.evolve(self, bindings=kept)

    def _check_binding(
        self, binding: Binding, known: Callable[[str], bool] = lambda function: True
    ) -> None:
        for bound in binding.contracts:
            definition = self.definitions.get(bound.contract)
            if definition is None:
                raise _bad(binding, f"contract '{bound.contract}' is not defined")
            names = [method.name for method in definition.methods]
            _none_of(
                (n for n in names if n not in bound.methods), binding, bound, "has no function"
            )
            _none_of((n for n in bound.methods if n not in names), binding, bound, "is not defined")
            for name, function in bound.methods.items():
                if not known(function):
                    raise _bad(
                        binding,
                        f"method '{name}' of contract '{bound.contract}': "
                        f"function '{function}' does not exist",
                    )


def _none_of(names: Iterable[str], binding: Binding, bound: Bound, text: str) -> None:
    for name in names:
        raise _bad(binding, f"method '{name}' of contract '{bound.contract}' {text}")


def _bad(binding: Binding, text: str) -> Exception:
    return make_error(ErrorKind.INVALID, f"binding '{binding.id}': {text}")


def parse_query(text: str) -> tuple[str, dict[str, Any]]:
    """A binding id and the context values of its query. Rule: CT11.

    >>> parse_query("ns:binding?tenant=acme&n=3&on=true&n=4")
    ('ns:binding', {'tenant': 'acme', 'n': 3, 'on': True})

    Raises: ProcessInvalid for a bad query.
    """
    binding, mark, query = text.partition("?")
    values: dict[str, Any] = {}
    if not mark or not query:
        return binding, values
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not equals or not name or re.search(r"%(?![0-9A-Fa-f]{2})", part):
            raise make_error(ErrorKind.INVALID, f"invalid query in '{text}': {shown(part)}")
        values.setdefault(unquote_plus(name), _typed(unquote_plus(value)))
    return binding, values


def _typed(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+)", text, re.ASCII):
        return float(text)
    return text
