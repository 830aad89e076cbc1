"""Contracts at run time: calling by contract and method, checked against its schemas.

Rules: CT5-CT17, the table of section 8.2. A `Contract` looks its default binding up at each call,
an `Instance` is bound when it is opened (CT6). The permission of the contract replaces `funcs.call`
(CT13), and validation happens between the permission and the chain (CT14).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import trio

from trio_actors._core.current import current_or_none
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors._core.inherited import Inherited, copy_values, extend
from trio_actors.functions.contract_model import (
    Binding,
    Bound,
    Catalogue,
    Definition,
    Method,
    parse_query,
)
from trio_actors.permission import inherited_of, require
from trio_actors.schemas import Violation, shown_pointer
from trio_actors.security.actors import Actor
from trio_actors.security.policies import Scope

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors.functions.future import Future
    from trio_actors.functions.service import Functions

__all__ = ["Contract", "Contracts", "Instance", "Wrapper"]


@attrs.frozen(slots=True)
class Wrapper:
    """What is laid over the caller's context at each method call (CT9, CT10)."""

    values: Mapping[str, Any] | None = None
    actor: Actor | None = None
    scope: Scope | None = None
    options: Mapping[str, Any] | None = None


NO_WRAPPER = Wrapper()


class Contracts:
    """All contracts of an application; `functions.contracts`."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.catalogue = Catalogue()

    # -- changes

    def define(self, definition: Definition) -> None:
        """Adds or replaces a definition. Raises: ProcessInvalid (CT3)."""
        self.catalogue = self.catalogue.with_definition(definition)

    def bind(self, binding: Binding) -> None:
        """Adds or replaces a binding. Raises: ProcessInvalid, ProcessAlreadyExists (CT2, CT3)."""
        self.catalogue = self.catalogue.with_binding(binding, self.functions.has)

    def remove_definition(self, id: str) -> None:
        """Removes a definition that no binding uses. Raises: ProcessInvalid (CT3)."""
        self.catalogue = self.catalogue.without_definition(id)

    def remove_binding(self, id: str) -> None:
        """Removes a binding."""
        self.catalogue = self.catalogue.without_binding(id)

    # -- look-up

    def get(self, id: str) -> Contract:
        """A contract, whose methods go to the default binding. Raises: ProcessNotFound (CT5)."""
        self._require("contract.get", id)
        return Contract(self, self._definition(id))

    def open(
        self,
        binding: str,
        scope: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Instance:
        """A binding, ready to be called; `ns:name?key=value` sets context values (CT10, CT11)."""
        return self.open_with(NO_WRAPPER, binding, scope, options)

    def open_with(
        self,
        wrapper: Wrapper,
        binding: str,
        scope: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None,
    ) -> Instance:
        """`open` with what a Contract had laid over already."""
        id, query = parse_query(binding)
        self._require("contract.open", id)
        found = self.catalogue.bindings.get(id)
        if found is None:
            raise make_error(ErrorKind.NOT_FOUND, f"binding not found: {id}")
        values = {**query, **(wrapper.values or {}), **copy_values(scope or {})}
        if options is not None:
            wrapper = attrs.evolve(wrapper, options=dict(options))
        return Instance(self, found, attrs.evolve(wrapper, values=values or None))

    def find_implementations(self, id: str) -> list[str]:
        """Ids of the bindings of a contract, sorted; none for an unknown one."""
        self._require("contract.implementations", id)
        return self.catalogue.implementations(id)

    def is_(self, instance: object, id: str) -> bool:
        """Whether an instance implements a contract; False for any other object."""
        return isinstance(instance, Instance) and instance._implements(id)

    def _definition(self, id: str) -> Definition:
        found = self.catalogue.definitions.get(id)
        if found is None:
            raise make_error(ErrorKind.NOT_FOUND, f"contract not found: {id}")
        return found

    def check_security(self) -> None:
        """The permission of `with_actor` and `with_scope`."""
        self._require("contract.security", "security")

    def check_context(self) -> None:
        """The permission of `with_context`."""
        self._require("contract.context", "context")

    def _require(self, action: str, resource: str) -> None:
        require(self.functions.node, current_or_none(), action, resource)

    # -- the call

    async def call(
        self,
        caller: ProcessContext | None,
        bound: Bound,
        function: str,
        method: str,
        args: tuple[Any, ...],
        wrapper: Wrapper,
        *,
        lua: bool = False,
    ) -> Any:
        """One method call; the order of its checks is that of CT14."""
        inherited, definition = self._checked(caller, bound, method, args, wrapper, lua=lua)
        value = await self.functions.dispatch(caller, function, args, wrapper.options, inherited)
        return _checked_result(bound, definition, value)

    def start(
        self,
        caller: ProcessContext | None,
        bound: Bound,
        function: str,
        method: str,
        args: tuple[Any, ...],
        wrapper: Wrapper,
        *,
        lua: bool = False,
    ) -> Future:
        """The async form; what is checked before the chain is a start error (F4)."""
        inherited, definition = self._checked(caller, bound, method, args, wrapper, lua=lua)
        return self.functions.start_from(
            caller,
            function,
            args,
            wrapper.options,
            inherited=inherited,
            permission=False,
            carried=lua,
            then=lambda value: _checked_result(bound, definition, value),
        )

    def _checked(
        self,
        caller: ProcessContext | None,
        bound: Bound,
        method: str,
        args: tuple[Any, ...],
        wrapper: Wrapper,
        *,
        lua: bool,
    ) -> tuple[Inherited, Method]:
        """What the callee sees, and the method as it is defined now, for the result too."""
        name = f"{bound.contract}.{method}"
        require(self.functions.node, caller, "contract.call", name)
        inherited = extend(
            inherited_of(caller), values=wrapper.values, actor=wrapper.actor, scope=wrapper.scope
        )
        missing = [key for key in bound.context_required if key not in inherited.values]
        if missing:
            text = f"missing required context keys: [{', '.join(missing)}]"
            raise make_error(ErrorKind.INVALID, text)
        definition = self._definition(bound.contract).method(method)
        if definition is None:
            raise _unknown_method(method)
        for index, schema in enumerate(definition.inputs):
            if schema.compiled is not None:
                given = args[index] if index < len(args) else None
                violation = schema.compiled.check(given, lua=lua)
                if violation is not None:
                    raise _refused(ErrorKind.INVALID, bound, method, index + 1, violation)
        return inherited, definition


def _unknown_method(name: str) -> ProcessError:
    return make_error(ErrorKind.NOT_FOUND, f"method not found: {name}")


def _checked_result(bound: Bound, method: Method, value: Any) -> Any:
    """The result against the first output schema (CT16)."""
    if method.outputs:
        schema = method.outputs[0].compiled
        # What comes from a Lua callee has empty lists for empty objects too (M27).
        violation = None if schema is None else schema.check(value, lua=True)
        if violation is not None:
            raise _refused(ErrorKind.INTERNAL, bound, method.name, None, violation)
    return value


def _refused(
    kind: ErrorKind, bound: Bound, method: str, argument: int | None, violation: Violation
) -> ProcessError:
    """CT15, CT16: contract, method, argument, pointer, expected and found."""
    what = "result" if argument is None else f"argument {argument}"
    details: dict[str, Any] = {
        "contract": bound.contract,
        "method": method,
        "pointer": violation.pointer,
    }
    if argument is not None:
        details["argument"] = argument
    return make_error(
        kind,
        f"{bound.contract}.{method}: {what} at {shown_pointer(violation.pointer)}: "
        f"{violation.reason}",
        details=details,
    )


class _Methods:
    """Methods as attributes: exact name first, then `name_async` (CT8)."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._find(name)
        if found is None:
            raise AttributeError(f"no method {name!r}")
        method, is_async = found

        def call(*args: Any) -> Any:
            return (self._start if is_async else self._invoke)(current_or_none(), method, args)

        return call

    def _find(self, name: str) -> tuple[str, bool] | None:
        """The method meant, and whether its async form is; None for neither."""
        if self._has_method(name):
            return name, False
        plain = name.removesuffix("_async")
        if plain != name and self._has_method(plain):
            return plain, True
        return None

    def _has_method(self, name: str) -> bool:
        """Whether there is a method of exactly this name."""
        raise AttributeError(name)

    def _resolve(self, method: str) -> tuple[Contracts, Bound, str, Wrapper]:
        """Where a call of the method goes now."""
        raise AttributeError(method)

    async def _invoke(
        self, caller: ProcessContext | None, method: str, args: tuple[Any, ...], lua: bool = False
    ) -> Any:
        """Calls a method. Checkpoint: always."""
        await trio.lowlevel.checkpoint()
        contracts, bound, function, wrapper = self._resolve(method)
        return await contracts.call(caller, bound, function, method, args, wrapper, lua=lua)

    def _start(
        self, caller: ProcessContext | None, method: str, args: tuple[Any, ...], lua: bool = False
    ) -> Future:
        """Starts a method and returns its future."""
        contracts, bound, function, wrapper = self._resolve(method)
        return contracts.start(caller, bound, function, method, args, wrapper, lua=lua)


class Contract(_Methods):
    """A contract by id; its definition's methods are attributes that call the default binding."""

    __slots__ = ("_contracts", "_definition", "_wrapper")

    def __init__(
        self, contracts: Contracts, definition: Definition, wrapper: Wrapper = NO_WRAPPER
    ) -> None:
        self._contracts = contracts
        self._definition = definition
        self._wrapper = wrapper

    def id(self) -> str:
        """The contract's id."""
        return self._definition.id

    def methods(self) -> list[dict[str, Any]]:
        """All methods as data."""
        return [method.as_data() for method in self._current().methods]

    def method(self, name: str) -> dict[str, Any]:
        """One method as data. Raises: ProcessNotFound."""
        found: Method | None = self._current().method(name)
        if found is None:
            raise _unknown_method(name)
        return found.as_data()

    def implementations(self) -> list[str]:
        """Ids of its bindings, sorted."""
        return self._contracts.find_implementations(self._definition.id)

    def open(
        self,
        binding: str | None = None,
        scope: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Instance:
        """A binding, or the default one (CT9, CT10)."""
        if binding is None:
            binding = self._default().id
        return self._contracts.open_with(self._wrapper, binding, scope, options)

    def with_context(self, values: Mapping[str, Any]) -> Contract:
        """With more context values; for one key the later call wins. Needs `contract.context`."""
        self._contracts.check_context()
        merged = {**(self._wrapper.values or {}), **copy_values(values)}
        return self._with(values=merged)

    def with_actor(self, actor: Actor) -> Contract:
        """With another actor. Needs `contract.security`."""
        self._contracts._require("contract.security", "security")
        if not isinstance(actor, Actor):
            raise TypeError(f"expected an actor, not {type(actor).__name__}")
        return self._with(actor=actor)

    def with_scope(self, scope: Scope) -> Contract:
        """With another scope. Needs `contract.security`."""
        self._contracts._require("contract.security", "security")
        if not isinstance(scope, Scope):
            raise TypeError(f"expected a scope, not {type(scope).__name__}")
        return self._with(scope=scope)

    def with_options(self, options: Mapping[str, Any]) -> Contract:
        """With other call options in place of earlier ones."""
        if not isinstance(options, Mapping):
            raise TypeError(f"options must be a mapping, not {type(options).__name__}")
        return self._with(options=dict(options))

    def _with(self, **changes: Any) -> Contract:
        wrapper = attrs.evolve(self._wrapper, **changes)
        return Contract(self._contracts, self._definition, wrapper)

    def _current(self) -> Definition:
        """The definition in force now; an update shows at once."""
        return self._contracts.catalogue.definitions.get(self._definition.id, self._definition)

    def _default(self) -> Binding:
        binding = self._contracts.catalogue.default(self._definition.id)
        if binding is None:
            text = f"no default binding for contract '{self._definition.id}'"
            raise make_error(ErrorKind.NOT_FOUND, text)
        return binding

    def _has_method(self, name: str) -> bool:
        """Whether the definition has this method."""
        return self._current().method(name) is not None

    def _resolve(self, method: str) -> tuple[Contracts, Bound, str, Wrapper]:
        """The default binding as of now (CT6)."""
        bound = self._default().for_contract(self._definition.id)
        function = None if bound is None else bound.methods.get(method)
        if bound is None or function is None:
            raise _unknown_method(method)  # it went after it was named
        return self._contracts, bound, function, self._wrapper


class Instance(_Methods):
    """An opened binding; the methods of all its contracts are attributes (CT4, CT7)."""

    __slots__ = ("_binding", "_contracts", "_wrapper")

    def __init__(self, contracts: Contracts, binding: Binding, wrapper: Wrapper) -> None:
        self._contracts = contracts
        self._binding = binding
        self._wrapper = wrapper

    def _implements(self, contract: str) -> bool:
        """Whether the binding implements a contract."""
        return self._binding.for_contract(contract) is not None

    def _has_method(self, name: str) -> bool:
        """Whether one of its contracts has this method."""
        return self._binding.find(name) is not None

    def _resolve(self, method: str) -> tuple[Contracts, Bound, str, Wrapper]:
        """The function that was bound when the instance was opened (CT6)."""
        found = self._binding.find(method)
        assert found is not None
        return self._contracts, found[0], found[1], self._wrapper
