"""Named policies, groups and token stores of an application, with the permissions of section 9.3.

Rules: SE8 (a group exists while a policy names it), the table of section 9.3. It is the attribute
`security` of the functions service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from trio_actors._core.current import current_or_none
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors.permission import inherited_of, require
from trio_actors.security.actors import Actor
from trio_actors.security.policies import Policy, Scope

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors.security.store import MemoryStore
    from trio_actors.security.tokens import TokenStore

__all__ = ["Security"]

T = TypeVar("T")


class Security:
    """What has a name: policies, groups, stores, token stores."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.policies: dict[str, Policy] = {}
        self.stores: dict[str, MemoryStore] = {}
        self.token_stores: dict[str, TokenStore] = {}

    def actor(self) -> Actor | None:
        """The actor of the running frame."""
        found: Actor | None = inherited_of(current_or_none()).actor
        return found

    def scope(self) -> Scope | None:
        """The scope of the running frame."""
        found: Scope | None = inherited_of(current_or_none()).scope
        return found

    def new_actor(self, id: str, meta: Mapping[str, Any] | None = None) -> Actor:
        """An actor. Needs `security.actor.create`."""
        if not isinstance(id, str):
            raise TypeError(f"an actor id is a text, not {type(id).__name__}")
        self._require("security.actor.create", id)
        return Actor(id, meta)

    def new_scope(self, policies: Iterable[Policy] = ()) -> Scope:
        """A scope of these policies. Needs `security.scope.create`."""
        self._require("security.scope.create", "custom")
        return Scope(_all_policies(policies))

    def scope_with(self, scope: Scope, policy: Policy) -> Scope:
        """`scope.with_(policy)`, with the permission that a script needs."""
        self._require("security.scope.create", "with")
        [checked] = _all_policies([policy])
        return scope.with_(checked)

    def scope_without(self, scope: Scope, policy_id: str) -> Scope:
        """`scope.without(policy_id)`, with the permission that a script needs."""
        self._require("security.scope.create", "without")
        return scope.without(policy_id)

    def policy(self, id: str) -> Policy:
        """A policy by id. Needs `security.policy.get`. Raises: ProcessNotFound."""
        self._require("security.policy.get", id)
        return _known(self.policies, id, "policy")

    def named_scope(self, group: str) -> Scope:
        """All policies of a group. Needs `security.policy_group.get`. Raises: ProcessNotFound."""
        self._require("security.policy_group.get", group)
        members = [policy for policy in self.policies.values() if group in policy.groups]
        if not members:
            raise make_error(ErrorKind.NOT_FOUND, f"policy group not found: {group}")
        return Scope(members)

    def token_store(self, id: str) -> TokenStore:
        """A token store. Needs `security.token_store.get`."""
        if id == "":
            raise make_error(ErrorKind.INVALID, "token store ID required")
        self._require("security.token_store.get", id)
        return _known(self.token_stores, id, "token store")

    def store(self, id: str) -> MemoryStore:
        """A memory store. Needs `store.get`."""
        self._require("store.get", id)
        return _known(self.stores, id, "store")

    def _require(self, action: str, resource: str) -> None:
        require(self._node, current_or_none(), action, resource)


def _all_policies(policies: Iterable[Policy]) -> list[Policy]:
    items = list(policies)
    for item in items:
        if not isinstance(item, Policy):
            raise TypeError(f"expected a policy, not {type(item).__name__}")
    return items


def _known(named: Mapping[str, T], id: str, what: str) -> T:
    found = named.get(id)
    if found is None:
        raise make_error(ErrorKind.NOT_FOUND, f"{what} not found: {id}")
    return found
