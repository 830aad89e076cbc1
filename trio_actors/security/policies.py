"""Policies and scopes: who may do what to what, decided without side effects.

Rules: SE1-SE4 (decision), SE10-SE15 (policies). `Scope.decide` answers a check as fast as it can;
`Scope.explain` answers the same check and says for each policy why it spoke or was silent. Both
use the same tests of patterns and conditions, so the explanation cannot disagree with the decision.

A scope never changes, so which of its policies match an action and a resource is found once and
remembered; what is left for each check are their conditions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import attrs

from ..fields import FieldError, as_mapping, check_keys, choice, strings
from .actors import Actor
from .conditions import Check, Condition, parse_condition
from .expression import CelExpression, compile_expression
from .patterns import Patterns

__all__ = ["Decision", "Policy", "PolicyStep", "Scope", "Verdict", "parse_policy"]

logger = logging.getLogger("trio_actors.security")

REMEMBERED = 256  # pairs of action and resource that a scope knows the matching policies of
NO_META: Mapping[str, Any] = MappingProxyType({})


class Verdict(StrEnum):
    """What a policy or a scope says."""

    ALLOW = "allow"
    DENY = "deny"
    UNDEFINED = "undefined"


@attrs.frozen(slots=True)
class PolicyStep:
    """What one policy said about a check, and why."""

    policy: str
    verdict: Verdict
    reason: str


@attrs.frozen(slots=True)
class Decision:
    """The answer to a check with the part of every policy in it."""

    verdict: Verdict
    allowed: bool
    # Id of the policy that decided; None if no policy did.
    policy: str | None
    reason: str
    steps: tuple[PolicyStep, ...] = ()

    def __str__(self) -> str:
        lines = [f"{'allowed' if self.allowed else 'denied'}: {self.reason}"]
        lines += [f"  {s.policy}: {s.verdict} ({s.reason})" for s in self.steps]
        return "\n".join(lines)


def _all_of(tests: list[Callable[[Check], bool]]) -> Callable[[Check], bool]:
    """Whether all tests hold, asked in order; a generator would cost more than most tests."""
    if len(tests) == 1:
        return tests[0]
    first, rest = tests[0], _all_of(tests[1:])
    return lambda check: first(check) and rest(check)


@attrs.frozen(slots=True)
class Policy:
    """One rule: actions, resources, an effect, and conditions or an expression."""

    id: str
    actions: Patterns
    resources: Patterns
    effect: Verdict
    conditions: tuple[Condition, ...] = ()
    expression: CelExpression | None = None
    groups: tuple[str, ...] = ()
    # Whether all conditions and the expression hold; None if there are none.
    holds: Callable[[Check], bool] | None = attrs.field(init=False, eq=False, repr=False)

    @holds.default
    def _holds(self) -> Callable[[Check], bool] | None:
        tests = [condition.holds for condition in self.conditions]
        if self.expression is not None:
            tests.append(self.expression.holds)
        return _all_of(tests) if tests else None

    def verdict(self, check: Check) -> Verdict:
        """What this policy says; an error says deny and is logged. Rules: SE2, SE3."""
        if not (self.actions.matches(check.action) and self.resources.matches(check.resource)):
            return Verdict.UNDEFINED
        return self.judge(check)

    def judge(self, check: Check) -> Verdict:
        """The verdict on a check whose action and resource match."""
        if self.holds is None:
            return self.effect
        try:
            return self.effect if self.holds(check) else Verdict.UNDEFINED
        except Exception as error:
            return self.failed(error)

    def failed(self, error: Exception) -> Verdict:
        """Deny, and a log record with the policy's id (SE3)."""
        logger.warning("policy %s failed, which denies: %s", self.id, error)
        return Verdict.DENY

    def _failing(self, check: Check) -> str | None:
        """The first condition that is false, as text; None if all hold."""
        for condition in self.conditions:
            if not condition.holds(check):
                return f"condition is false: {condition}"
        if self.expression is not None and not self.expression.holds(check):
            return f"expression is false: {self.expression.source}"
        return None

    def explain(self, check: Check) -> PolicyStep:
        """The verdict with its reason."""
        if not self.actions.matches(check.action):
            return PolicyStep(self.id, Verdict.UNDEFINED, "action does not match")
        if not self.resources.matches(check.resource):
            return PolicyStep(self.id, Verdict.UNDEFINED, "resource does not match")
        try:
            failing = self._failing(check)
        except Exception as error:
            return PolicyStep(self.id, Verdict.DENY, f"error: {error}")
        if failing is not None:
            return PolicyStep(self.id, Verdict.UNDEFINED, failing)
        return PolicyStep(self.id, self.effect, "matches")

    def evaluate(
        self, actor: Actor, action: str, resource: str, meta: Mapping[str, Any] = NO_META
    ) -> Verdict:
        """`verdict` for the parts of a check."""
        return self.verdict(Check(actor, action, resource, meta))


# What the policies without conditions say, and the policies with conditions.
_Relevant = tuple[Verdict, tuple[tuple[Callable[[Check], bool], Verdict, Policy], ...]]


def _by_id(policies: Iterable[Policy]) -> Mapping[str, Policy]:
    return MappingProxyType({policy.id: policy for policy in policies})


@attrs.frozen(slots=True, eq=False)
class Scope:
    """An immutable set of policies by id; adding the same id replaces. Rule: SE1."""

    _policies: Mapping[str, Policy] = attrs.field(default=(), converter=_by_id)
    # Only a memory: what `_relevant` found for an action and a resource.
    _found: dict[tuple[str, str], _Relevant] = attrs.field(init=False, factory=dict, repr=False)

    def with_(self, policy: Policy) -> Scope:
        """A scope with this policy too."""
        return Scope([*self._policies.values(), policy])

    def without(self, policy_id: str) -> Scope:
        """A scope without that policy; this scope if it is not in it."""
        if policy_id not in self._policies:
            return self
        return Scope([p for key, p in self._policies.items() if key != policy_id])

    def contains(self, policy_id: str) -> bool:
        """Whether a policy with this id is in the scope."""
        return policy_id in self._policies

    def policies(self) -> tuple[Policy, ...]:
        """All policies, by id."""
        return tuple(self._policies[key] for key in sorted(self._policies))

    def settled(self, action: str, resource: str) -> Verdict | None:
        """As `decide`, if no condition has to be looked at; else None."""
        found = self._found.get((action, resource))
        if found is None:
            found = self._relevant(action, resource)
        answer, conditional = found
        return None if conditional and answer is not Verdict.DENY else answer

    def decide(self, check: Check) -> Verdict:
        """Deny if any policy denies, else allow if any allows, else undefined. Rule: SE4."""
        found = self._found.get((check.action, check.resource))
        if found is None:
            found = self._relevant(check.action, check.resource)
        answer, conditional = found
        if answer is Verdict.DENY:
            return answer
        for holds, effect, policy in conditional:
            try:  # Policy.judge written out
                if holds(check):
                    if effect is Verdict.DENY:
                        return effect
                    answer = effect
            except Exception as error:
                return policy.failed(error)
        return answer

    def _relevant(self, action: str, resource: str) -> _Relevant:
        """What the policies without conditions say, and those with that match; remembered."""
        if len(self._found) >= REMEMBERED:
            self._found.clear()
        said, conditional = set(), []
        for policy in self._policies.values():
            if policy.actions.matches(action) and policy.resources.matches(resource):
                if policy.holds is None:
                    said.add(policy.effect)
                else:
                    conditional.append((policy.holds, policy.effect, policy))
        first = (verdict for verdict in (Verdict.DENY, Verdict.ALLOW) if verdict in said)
        found = (next(first, Verdict.UNDEFINED), tuple(conditional))
        self._found[action, resource] = found
        return found

    def evaluate(
        self, actor: Actor, action: str, resource: str, meta: Mapping[str, Any] = NO_META
    ) -> Verdict:
        """`decide` for the parts of a check."""
        return self.decide(Check(actor, action, resource, meta))

    def explain(self, check: Check) -> Decision:
        """The decision and what every policy had to say; deny first, then allow, then by id."""
        steps = [policy.explain(check) for policy in self.policies()]
        for verdict in (Verdict.DENY, Verdict.ALLOW):
            for step in steps:
                if step.verdict is verdict:
                    return Decision(
                        verdict,
                        verdict is Verdict.ALLOW,
                        step.policy,
                        f"{step.policy} says {verdict} ({step.reason})",
                        tuple(steps),
                    )
        reason = "no policy of the scope speaks to it" if steps else "the scope is empty"
        return Decision(Verdict.UNDEFINED, False, None, reason, tuple(steps))


def parse_policy(policy_id: str, data: object, *, expression: bool = False) -> Policy:
    """Read the data of a policy entry: `policy` and `groups`. Rules: section 9.2, SE14.

    With `expression` the entry is a `security.policy.expr`: `policy.expression` in place of
    conditions. Raises: FieldError.
    """
    outer = as_mapping(data, "data")
    check_keys(outer, ("policy", "groups"), "data")
    if "policy" not in outer:
        raise FieldError("policy", "a mapping", "nothing")
    body = as_mapping(outer["policy"], "policy")
    last = "expression" if expression else "conditions"
    check_keys(body, ("actions", "resources", "effect", last), "policy")
    for name in ("actions", "resources", "effect", *(["expression"] if expression else [])):
        if name not in body:
            raise FieldError(f"policy.{name}", "a value", "nothing")
    compiled: CelExpression | None = None
    conditions: tuple[Condition, ...] = ()
    if expression:
        compiled = compile_expression(body["expression"], "policy.expression")
    elif "conditions" in body:
        items = body["conditions"]
        if not isinstance(items, list | tuple) or not items:
            raise FieldError("policy.conditions", "a non-empty list", str(items))
        conditions = tuple(
            parse_condition(item, f"policy.conditions[{i}]") for i, item in enumerate(items)
        )
    namespace = policy_id.partition(":")[0]
    groups = strings(outer.get("groups", ()), "groups", allow_empty=True)
    return Policy(
        policy_id,
        Patterns.parse(strings(body["actions"], "policy.actions"), "policy.actions"),
        Patterns.parse(strings(body["resources"], "policy.resources"), "policy.resources"),
        Verdict(choice(body["effect"], ("allow", "deny"), "policy.effect")),
        conditions,
        compiled,
        tuple(group if ":" in group else f"{namespace}:{group}" for group in groups),
    )
