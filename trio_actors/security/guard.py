"""The kernel's guard: permission checks decided by the policies of a scope, with explanations.

Rules: SE3-SE7, A6, A8. The kernel decides what a missing actor or scope means (SE5, `strict`) and
asks the guard only when both are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trio_actors._core.current import current_or_none
from trio_actors.permission import inherited_of
from trio_actors.security.actors import Actor
from trio_actors.security.conditions import Check
from trio_actors.security.policies import NO_META, Decision, Scope, Verdict

if TYPE_CHECKING:
    from trio_actors._core.node import Node

__all__ = ["PolicyGuard", "can", "explain"]


class PolicyGuard:
    """Decides by policies; `node.guard = PolicyGuard()`, which open_functions does."""

    def permits(
        self, actor: Any, scope: Any, action: str, resource: str, attributes: Mapping[str, Any]
    ) -> bool:
        """True only for an explicit allow; an actor or scope of another kind is no allow."""
        if not isinstance(actor, Actor) or not isinstance(scope, Scope):
            return False
        answer = scope.settled(action, resource)
        if answer is None:
            answer = scope.decide(Check(actor, action, resource, attributes))
        return answer is Verdict.ALLOW


def can(action: str, resource: str, meta: Mapping[str, Any] | None = None) -> bool:
    """Whether the running frame's policies allow this; False without actor or scope (SE6)."""
    return explain(action, resource, meta).allowed


def explain(action: str, resource: str, meta: Mapping[str, Any] | None = None) -> Decision:
    """What `can` says, and which policy decided.

    A check of a module permits more: with actor or scope missing it permits, unless strict (SE5).
    """
    caller = current_or_none()
    inherited = inherited_of(caller)
    actor, scope = inherited.actor, inherited.scope
    if actor is None or scope is None:
        missing = "actor" if actor is None else "scope"
        return Decision(Verdict.UNDEFINED, False, None, f"there is no {missing}")
    pid = {} if caller is None else {"pid": caller.pid}
    decision: Decision = scope.explain(Check(actor, action, resource, {**(meta or NO_META), **pid}))
    return decision


def install(node: Node) -> None:
    """Puts policies in charge of a node."""
    node.guard = PolicyGuard()
