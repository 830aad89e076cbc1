"""`security.policy` and `security.policy.expr`: who may do what.

Rules: section 9.2 of functions.md (fields), SE10, SE14, SE15 (checked at the load), Y10, SE8
(policies and groups of a service).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from trio_actors.fields import FieldError
from trio_actors.security import Actor, Policy, Scope, parse_policy

from ..fields import Texts, setting
from ..ids import resolve
from ..kind import BaseKind, Definition, Definitions, Finding
from .code import of_field_error
from .lifecycle import Security

if TYPE_CHECKING:
    from ..app import App


@attrs.frozen(slots=True)
class PolicyFields:
    """A policy; what stands under `policy` is read by the package security."""

    policy: dict[str, Any] = setting("`actions`, `resources`, `effect`, and when it holds")
    groups: Texts = setting("groups that the policy belongs to", default=())


class PolicyKind(BaseKind):
    """Both kinds of policies; they differ in how a condition is written."""

    model = PolicyFields
    expression = False

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """Patterns, effect, conditions or expression."""
        try:
            self.policy_of(definition)
        except FieldError as error:
            yield of_field_error(error)

    def policy_of(self, definition: Definition) -> Policy:
        """The policy that an entry describes."""
        return parse_policy(definition.id, definition.entry.data, expression=self.expression)

    async def add(self, app: App, definition: Definition) -> None:
        """Services that start from now on may run under it."""
        app.policies[definition.id] = self.policy_of(definition)

    async def remove(self, app: App, definition: Definition) -> None:
        """Nothing new runs under it."""
        del app.policies[definition.id]

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Services that start from now on run under the new one."""
        await self.add(app, new)


class PlainPolicyKind(PolicyKind):
    """`security.policy`."""

    doc = "A policy with conditions on fields; all of `policy.conditions` must hold."


class ExpressionPolicyKind(PolicyKind):
    """`security.policy.expr`."""

    expression = True
    doc = "A policy with a CEL expression, `policy.expression` (extra `policy`)."


def actor_and_scope(
    app: App, security: Security | None, namespace: str
) -> tuple[Actor | None, Scope | None]:
    """What a service acts as, and under which policies. Rule: Y10."""
    if security is None:
        return None, None
    actor = Actor(security.actor.id, security.actor.meta) if security.actor else None
    if security.groups is None and security.policies is None:
        return actor, None
    groups = {resolve(group, namespace) for group in security.groups or ()}
    policies = [
        policy
        for id, policy in app.policies.items()
        if id in (security.policies or ()) or groups.intersection(policy.groups)
    ]
    return actor, Scope(policies)


POLICY = PlainPolicyKind()
POLICY_EXPR = ExpressionPolicyKind()
