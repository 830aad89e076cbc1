"""Policies, scopes and explanations. Rules: SE1-SE4, SE10-SE15."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_actors.fields import FieldError
from trio_actors.security.actors import Actor
from trio_actors.security.conditions import (
    OPERATORS,
    Check,
    Condition,
    ConditionError,
    as_number,
    as_text,
    equal,
    parse_condition,
)
from trio_actors.security.guard import PolicyGuard
from trio_actors.security.policies import Policy, Scope, Verdict, parse_policy

ANN = Actor("ann", {"role": "admin", "level": 7, "tags": ["a", "b"], "team": {"name": "red"}})


def policy(name: str = "app:p", **body: Any) -> Policy:
    base: dict[str, Any] = {"actions": "*", "resources": "*", "effect": "allow"}
    return parse_policy(name, {"policy": base | body})


def check(action: str = "do", resource: str = "thing", **meta: Any) -> Check:
    return Check(ANN, action, resource, meta)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", True),
        ("a.*", "a", False),
        ("a.*", "abc", False),
        ("*", "", True),
        ("*", "anything", True),
        ("Exact", "Exact", True),
        ("Exact", "exact", False),
        (["x", "a*"], "abc", True),
    ],
)
def test_fz26_patterns_are_exact_or_a_prefix(pattern: Any, text: str, matches: bool) -> None:
    """FZ26, SE10."""
    expected = Verdict.ALLOW if matches else Verdict.UNDEFINED
    assert policy(actions=pattern).verdict(check(text)) is expected
    assert policy(resources=pattern).verdict(check(resource=text)) is expected


@pytest.mark.parametrize(
    ("field", "operator", "value", "holds"),
    [
        ("actor.id", "eq", "ann", True),
        ("actor.id", "ne", "bob", True),
        ("actor.meta.role", "eq", "admin", True),
        ("actor.meta.team.name", "eq", "red", True),
        ("actor.meta.level", "eq", "7.0", True),
        ("actor.meta.level", "gt", 6, True),
        ("actor.meta.level", "lt", "7", False),
        ("actor.meta.level", "gte", 7, True),
        ("actor.meta.level", "lte", 6.9, False),
        ("action", "eq", "do", True),
        ("resource", "matches", "^th", True),
        ("resource", "nmatches", "ing$", False),
        ("meta.size", "eq", 3, True),
        ("size", "eq", 3, True),
        ("meta.deep.x", "eq", True, True),
        ("actor.meta.role", "in", ["user", "admin"], True),
        ("actor.meta.role", "in", "admin", True),
        ("actor.meta.role", "nin", ["user"], True),
        ("actor.meta.tags", "contains", "a", True),
        ("actor.meta.tags", "ncontains", "a", False),
        ("resource", "contains", "hin", True),
        ("actor.id", "exists", True, True),
        ("actor.id", "exists", False, False),
        ("actor.id", "nexists", False, True),
        # A missing field (SE12).
        ("actor.meta.gone", "exists", False, True),
        ("actor.meta.gone", "nexists", True, True),
        ("actor.meta.gone", "exists", True, False),
        ("actor.meta.gone", "ne", "x", False),
        ("actor.meta.gone", "nin", ["x"], False),
        ("actor.meta.gone", "lt", 3, False),
        ("meta.deep.x.y", "eq", 1, False),
    ],
)
def test_operators(field: str, operator: str, value: Any, holds: bool) -> None:
    """SE11-SE13."""
    condition = parse_condition({"field": field, "operator": operator, "value": value}, "c")
    assert condition.holds(check(size=3, deep={"x": True})) is holds


def test_a_condition_may_compare_two_fields() -> None:
    """9.2: value_from."""
    owner = parse_condition(
        {"field": "actor.id", "operator": "eq", "value_from": "meta.owner"}, "c"
    )
    assert owner.holds(check(owner="ann"))
    assert not owner.holds(check(owner="bob"))
    assert not owner.holds(check())


def test_fz25_a_condition_that_cannot_be_evaluated_denies(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """FZ25, SE3: lt on text, though another policy allows; logged with the policy id."""
    bad = policy("app:bad", conditions=[{"field": "resource", "operator": "lt", "value": 3}])
    scope = Scope([policy("app:good"), bad])
    with caplog.at_level(logging.WARNING):
        assert scope.decide(check()) is Verdict.DENY
    assert "app:bad" in caplog.text
    assert scope.explain(check()).policy == "app:bad"


def test_an_error_in_a_policy_that_does_not_match_is_never_reached() -> None:
    """SE3: only policies that matched action and resource."""
    bad = policy(actions="other", conditions=[{"field": "resource", "operator": "lt", "value": 3}])
    assert bad.verdict(check()) is Verdict.UNDEFINED


def test_a_policy_has_no_opinion_on_what_it_does_not_match() -> None:
    """SE2: another action, another resource, or a condition that is false."""
    other = {"field": "actor.id", "operator": "eq", "value": "nobody"}
    for body in ({"actions": "x"}, {"resources": "x"}, {"conditions": [other]}):
        for effect in ("allow", "deny"):
            made = policy("app:p", effect=effect, **body)
            assert made.evaluate(ANN, "do", "thing", {}) is Verdict.UNDEFINED
    assert policy("app:p", effect="deny").evaluate(ANN, "do", "thing", {}) is Verdict.DENY


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ([], Verdict.UNDEFINED),
        (["allow"], Verdict.ALLOW),
        (["allow", "deny"], Verdict.DENY),
        (["deny", "allow"], Verdict.DENY),
        (["silent"], Verdict.UNDEFINED),
        (["silent", "allow"], Verdict.ALLOW),
    ],
)
def test_any_deny_wins_else_any_allow(effects: list[str], verdict: Verdict) -> None:
    """SE4: order does not matter, an empty scope is undefined."""
    scope = Scope(
        policy(f"app:{i}", **({"actions": "x"} if e == "silent" else {"effect": e}))
        for i, e in enumerate(effects)
    )
    assert scope.decide(check()) is verdict
    assert scope.explain(check()).verdict is verdict
    assert scope.evaluate(ANN, "do", "thing") is verdict


def test_a_scope_never_changes() -> None:
    """SE1: with and without give new scopes, the same id replaces."""
    empty = Scope()
    one = empty.with_(policy("app:p"))
    assert (empty.contains("app:p"), one.contains("app:p")) == (False, True)
    replaced = one.with_(policy("app:p", effect="deny"))
    assert [p.effect for p in replaced.policies()] == [Verdict.DENY]
    assert one.without("app:q") is one
    assert one.without("app:p").policies() == ()


def test_explain_says_why_each_policy_spoke_or_not() -> None:
    """The decision trace."""
    scope = Scope(
        [
            policy("app:a", actions="other"),
            policy("app:b", resources="other"),
            policy("app:c", conditions=[{"field": "actor.id", "operator": "eq", "value": "bob"}]),
            policy("app:d"),
        ]
    )
    decision = scope.explain(check())
    assert (decision.allowed, decision.policy) == (True, "app:d")
    assert [(s.policy, s.verdict.value, s.reason) for s in decision.steps] == [
        ("app:a", "undefined", "action does not match"),
        ("app:b", "undefined", "resource does not match"),
        ("app:c", "undefined", 'condition is false: actor.id eq "bob"'),
        ("app:d", "allow", "matches"),
    ]
    assert str(decision).startswith("allowed: app:d says allow (matches)")


def test_bare_group_names_get_the_namespace_of_the_policy() -> None:
    """9.2."""
    parsed = parse_policy(
        "app:p",
        {
            "policy": {"actions": "*", "resources": "*", "effect": "deny"},
            "groups": ["staff", "other:all"],
        },
    )
    assert parsed.groups == ("app:staff", "other:all")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"actions": []}, "policy.actions"),
        ({"actions": "a*b"}, "policy.actions"),
        ({"resources": ["*x"]}, "policy.resources"),
        ({"resources": [""]}, "policy.resources[0]"),
        ({"effect": "maybe"}, "policy.effect"),
        ({"effects": "allow"}, "policy.effects"),
        ({"conditions": []}, "policy.conditions"),
        ({"expression": "true"}, "policy.expression"),
        ({"conditions": [{}]}, "policy.conditions[0].field"),
        ({"conditions": [{"field": "x"}]}, "policy.conditions[0].operator"),
        (
            {"conditions": [{"field": "x", "operator": "like", "value": 1}]},
            "policy.conditions[0].operator",
        ),
        ({"conditions": [{"field": "x", "operator": "eq"}]}, "policy.conditions[0].value"),
        (
            {"conditions": [{"field": "x", "operator": "eq", "value": 1, "value_from": "y"}]},
            "policy.conditions[0].value",
        ),
        (
            {"conditions": [{"field": "x", "operator": "in", "value": []}]},
            "policy.conditions[0].value",
        ),
        (
            {"conditions": [{"field": "x", "operator": "matches", "value": "("}]},
            "policy.conditions[0].value",
        ),
        (
            {"conditions": [{"field": "x", "operator": "matches", "value_from": "y"}]},
            "policy.conditions[0].value_from",
        ),
    ],
)
def test_a_bad_policy_names_the_field(body: dict[str, Any], path: str) -> None:
    """SE10, SE14."""
    with pytest.raises(FieldError) as caught:
        policy(**body)
    assert caught.value.path == path


def test_an_actor_is_copied_and_read_only() -> None:
    """SE1: later changes of the meta given are not seen."""
    meta = {"a": [1]}
    actor = Actor("x", meta)
    meta["a"].append(2)
    assert actor.meta["a"] == [1]
    with pytest.raises(TypeError):
        actor.meta["b"] = 1  # type: ignore[index]


VALUES = st.one_of(
    st.integers(-3, 3),
    st.sampled_from(["", "a", "b", "1", "1.0", "-2", "nan", "inf", "true"]),
    st.sampled_from([1.0, 2.5, float("nan"), float("inf")]),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "1", "true", 1, 2.5, True]), min_size=1, max_size=3),
)


def outcome(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except ConditionError:
        return "error"


@given(st.sampled_from(sorted(set(OPERATORS) - {"matches", "nmatches"})), VALUES, VALUES)
def test_a_condition_with_a_constant_is_its_operator(operator: str, left: Any, value: Any) -> None:
    """SE13: the short ways for the usual types never answer otherwise, errors included."""
    constant = tuple(value) if isinstance(value, list) else value
    condition = Condition("x", operator, constant)
    found = outcome(condition.holds, Check(ANN, "do", "thing", {"x": left}))
    assert found == outcome(OPERATORS[operator], left, constant)


@given(VALUES, VALUES)
def test_equality_is_by_number_if_both_are_numbers_else_by_text(left: Any, right: Any) -> None:
    """SE13: the rule as it is written."""
    a, b = as_number(left), as_number(right)
    by_number = a is not None and b is not None
    assert equal(left, right) is (a == b if by_number else as_text(left) == as_text(right))


RULES = st.tuples(st.sampled_from("ad"), st.sampled_from("x*y"), st.booleans())


@given(st.lists(RULES, max_size=6))
def test_what_a_scope_remembers_changes_no_answer(rules: list[tuple[str, str, bool]]) -> None:
    """SE4: asked once or twice, explained or policy by policy, the answer is the same."""
    yes = {"field": "actor.id", "operator": "eq", "value": "ann"}
    scope = Scope(
        policy(
            f"app:{n}",
            effect="allow" if effect == "a" else "deny",
            resources=resource,
            **({"conditions": [yes]} if conditional else {}),
        )
        for n, (effect, resource, conditional) in enumerate(rules)
    )
    for actor in (Actor("ann"), Actor("bob")):
        for resource in ("x", "z", "x"):
            asked = Check(actor, "do", resource, {})
            said = {one.verdict(asked) for one in scope.policies()}
            expected = next(
                (v for v in (Verdict.DENY, Verdict.ALLOW) if v in said), Verdict.UNDEFINED
            )
            assert scope.decide(asked) is scope.explain(asked).verdict is expected
            assert scope.settled("do", resource) in (None, expected)
            guard = PolicyGuard()
            may = guard.permits(actor, scope, "do", resource, {})
            assert may is (expected is Verdict.ALLOW)
