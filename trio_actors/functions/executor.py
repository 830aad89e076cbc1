"""Executors: how to call with other context values, actor, scope or options. Rules: section 3.1.

An executor is a value: every `with_…` gives a new one. What it lays over the caller's context is
applied at the call, so one executor serves many callers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trio_actors._core.current import current_or_none
from trio_actors._core.inherited import Inherited, copy_values, extend
from trio_actors.permission import inherited_of, require
from trio_actors.security.actors import Actor
from trio_actors.security.policies import Scope

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors.functions.future import Future
    from trio_actors.functions.service import Functions

__all__ = ["Executor"]


class Executor:
    """Calls with changes; made by `functions.new()`."""

    __slots__ = ("_actor", "_functions", "_options", "_scope", "_values")

    def __init__(
        self,
        functions: Functions,
        values: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
        scope: Scope | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._functions = functions
        self._values = values
        self._actor = actor
        self._scope = scope
        self._options = options

    def with_context(self, values: Mapping[str, Any]) -> Executor:
        """More context values; for one key the later call wins. Needs `funcs.context`."""
        self._require("funcs.context", "context")
        merged = {**(self._values or {}), **copy_values(values)}
        return Executor(self._functions, merged, self._actor, self._scope, self._options)

    def with_actor(self, actor: Actor) -> Executor:
        """Another actor for the callee. Needs `funcs.security`, which is checked first."""
        self._require("funcs.security", "security")
        if not isinstance(actor, Actor):
            raise TypeError(f"expected an actor, not {type(actor).__name__}")
        return Executor(self._functions, self._values, actor, self._scope, self._options)

    def with_scope(self, scope: Scope) -> Executor:
        """Another scope for the callee. Needs `funcs.security`, which is checked first."""
        self._require("funcs.security", "security")
        if not isinstance(scope, Scope):
            raise TypeError(f"expected a scope, not {type(scope).__name__}")
        return Executor(self._functions, self._values, self._actor, scope, self._options)

    def with_options(self, options: Mapping[str, Any]) -> Executor:
        """Other call options in place of earlier ones."""
        if not isinstance(options, Mapping):
            raise TypeError(f"options must be a mapping, not {type(options).__name__}")
        return Executor(self._functions, self._values, self._actor, self._scope, dict(options))

    async def call(self, id: str, *args: Any) -> Any:
        """As `functions.call`. Checkpoint: always."""
        return await self.call_from(current_or_none(), id, args)

    def async_(self, id: str, *args: Any) -> Future:
        """As `functions.async_`."""
        return self.start_from(current_or_none(), id, args)

    async def call_from(self, caller: ProcessContext | None, id: str, args: tuple[Any, ...]) -> Any:
        """`call` for a given caller."""
        inherited = self.inherited(caller)
        return await self._functions.call_from(caller, id, args, self._options, inherited=inherited)

    def start_from(self, caller: ProcessContext | None, id: str, args: tuple[Any, ...]) -> Future:
        """`async_` for a given caller."""
        inherited = self.inherited(caller)
        return self._functions.start_from(caller, id, args, self._options, inherited=inherited)

    def inherited(self, caller: ProcessContext | None) -> Inherited:
        """What the callee will see (CX5)."""
        return extend(
            inherited_of(caller), values=self._values, actor=self._actor, scope=self._scope
        )

    def _require(self, action: str, resource: str) -> None:
        require(self._functions.node, current_or_none(), action, resource)
