"""`contract.definition` and `contract.binding`: method signatures and what implements them.

Rules: CT1, CT2 (load errors), CT3 (a second default: ALREADY_EXISTS; a definition that breaks a
binding, or is deleted while one uses it), CT4. All of them are checked on the whole set of entries
before anything changes, so the running catalogue only takes over what was checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import attrs

from trio_actors import ErrorKind
from trio_actors.fields import FieldError, shown
from trio_actors.functions.contract_model import parse_binding, parse_definition

from ..fields import Ref, Text, Texts, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from .code import of_field_error

if TYPE_CHECKING:
    from ..app import App

ContractRef = Annotated[str, Ref(("contract.definition",))]
CallableRef = Annotated[str, Ref(("function.lua", "function.py", "process.lua", "process.py"))]
BINDING = "contract.binding"


@attrs.frozen(slots=True)
class ContractDefinition:
    """The signatures of a contract's methods."""

    methods: tuple[dict[str, Any], ...] = setting(
        "`name`, `description`, `input_schemas`, `output_schemas` of each method"
    )
    description: str = setting("what the contract is for", default="")


@attrs.frozen(slots=True)
class BoundContract:
    """One contract that a binding implements."""

    contract: ContractRef = setting("which contract")
    methods: dict[Text, CallableRef] = setting("method: function", factory=dict)
    default: bool = setting("used where no binding is named", default=False)
    context_required: Texts = setting("context keys that a call must have", default=())


@attrs.frozen(slots=True)
class ContractBinding:
    """Functions that implement contracts."""

    contracts: tuple[BoundContract, ...] = setting(
        "each with `contract`, `methods` (method: function), `default`, `context_required`"
    )


class DefinitionKind(BaseKind):
    """`contract.definition`."""

    model = ContractDefinition
    doc = "A contract: the methods that a binding has to implement, with their schemas."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """Method names and schemas."""
        try:
            parse_definition(definition.id, definition.entry.data)
        except FieldError as error:
            yield of_field_error(error)

    async def add(self, app: App, definition: Definition) -> None:
        """The contract can be looked up."""
        contracts = app.functions.contracts
        parsed = parse_definition(definition.id, definition.entry.data)
        known = {**contracts.catalogue.definitions, definition.id: parsed}
        contracts.catalogue = attrs.evolve(contracts.catalogue, definitions=known)

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Later calls go by the new signatures."""
        await self.add(app, new)

    async def remove(self, app: App, definition: Definition) -> None:
        """The contract is unknown."""
        contracts = app.functions.contracts
        known = dict(contracts.catalogue.definitions)
        del known[definition.id]
        contracts.catalogue = attrs.evolve(contracts.catalogue, definitions=known)


class BindingKind(BaseKind):
    """`contract.binding`."""

    model = ContractBinding
    doc = "Which functions implement the methods of contracts."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """Methods without function, functions without method, a second default."""
        model: ContractBinding = definition.model
        if not model.contracts:
            yield Finding(("contracts",), "at least one contract", "none")
        seen: set[str] = set()
        for index, bound in enumerate(model.contracts):
            path = ("contracts", index)
            if bound.contract in seen:
                expected = "each contract once"
                yield Finding((*path, "contract"), expected, shown(bound.contract))
            seen.add(bound.contract)
            contract = others.get(bound.contract)
            if contract is not None:
                yield from _method_findings(bound, contract, path)
            other = _other_default(definition, bound, others)
            if bound.default and other is not None:
                expected = f"one default binding of {bound.contract}"
                got = f"a second one beside {other}"
                kind = ErrorKind.ALREADY_EXISTS
                yield Finding((*path, "default"), expected, got, kind=kind)

    async def add(self, app: App, definition: Definition) -> None:
        """Calls of its contracts can reach it."""
        contracts = app.functions.contracts
        parsed = parse_binding(definition.id, definition.entry.data)
        known = {**contracts.catalogue.bindings, definition.id: parsed}
        contracts.catalogue = attrs.evolve(contracts.catalogue, bindings=known)

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Later calls reach the new functions."""
        await self.add(app, new)

    async def remove(self, app: App, definition: Definition) -> None:
        """Nothing reaches it any more."""
        contracts = app.functions.contracts
        contracts.catalogue = contracts.catalogue.without_binding(definition.id)


def _method_findings(
    bound: BoundContract, contract: Definition, path: tuple[str | int, ...]
) -> Iterable[Finding]:
    names = tuple(str(method.get("name")) for method in contract.model.methods)
    for name in names:
        if name not in bound.methods:
            got = f"no function for {shown(name)}"
            yield Finding((*path, "methods"), f"every method of {contract.id}", got)
    for name in bound.methods:
        if name not in names:
            yield Finding(
                (*path, "methods", name), f"a method of {contract.id}", shown(name), names
            )


def _other_default(definition: Definition, bound: BoundContract, others: Definitions) -> str | None:
    """Another binding that is the default of the same contract and comes first by id."""
    for id in sorted(others):
        if id == definition.id or others[id].kind != BINDING:
            continue
        if any(b.default and b.contract == bound.contract for b in others[id].model.contracts):
            return id
    return None


CONTRACT_DEFINITION = DefinitionKind()
CONTRACT_BINDING = BindingKind()
