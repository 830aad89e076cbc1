"""Security from inside a process or function: the Python twin of the Lua module `security` (GC2).

Each function is the method of the same name of the application's `Security`, and asks for the same
permission (section 9.3). Code outside of every process may do all (A10).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from trio_actors import funcs
from trio_actors._core.current import current_or_none
from trio_actors.permission import inherited_of
from trio_actors.security.actors import Actor
from trio_actors.security.policies import Policy, Scope

if TYPE_CHECKING:
    from trio_actors.security.service import Security
    from trio_actors.security.tokens import TokenStore

__all__ = ["actor", "named_scope", "new_actor", "new_scope", "policy", "scope", "token_store"]


def actor() -> Actor | None:
    """The actor of the running process or function."""
    found = inherited_of(current_or_none()).actor
    return found if isinstance(found, Actor) else None


def scope() -> Scope | None:
    """The scope of the running process or function."""
    found = inherited_of(current_or_none()).scope
    return found if isinstance(found, Scope) else None


def new_actor(id: str, meta: Mapping[str, Any] | None = None) -> Actor:
    """An actor. Raises: ProcessPermissionDenied."""
    return _security().new_actor(id, meta)


def new_scope(policies: Iterable[Policy] = ()) -> Scope:
    """A scope of these policies. Raises: ProcessPermissionDenied."""
    return _security().new_scope(policies)


def policy(id: str) -> Policy:
    """A policy by id. Raises: ProcessNotFound, ProcessPermissionDenied."""
    return _security().policy(id)


def named_scope(group: str) -> Scope:
    """All policies of a group. Raises: ProcessNotFound, ProcessPermissionDenied."""
    return _security().named_scope(group)


def token_store(id: str) -> TokenStore:
    """A token store. Raises: ProcessInvalid, ProcessNotFound, ProcessPermissionDenied."""
    return _security().token_store(id)


def _security() -> Security:
    return funcs.service().security
