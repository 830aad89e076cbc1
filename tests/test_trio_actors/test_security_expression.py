"""Policies in CEL. Rule: SE15."""

import sys

import pytest

from trio_actors.fields import FieldError
from trio_actors.security.actors import Actor
from trio_actors.security.conditions import Check
from trio_actors.security.policies import Policy, Scope, Verdict, parse_policy

pytest.importorskip("cel", reason="the extra policy is not installed")


def policy(expression: object) -> Policy:
    body = {"actions": "*", "resources": "*", "effect": "allow", "expression": expression}
    return parse_policy("app:e", {"policy": body}, expression=True)


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("actor.id == 'ann' && resource.startsWith('th')", Verdict.ALLOW),
        ("actor.meta.level > 9", Verdict.UNDEFINED),
        ("meta.size == 3 && action == 'do'", Verdict.ALLOW),
        ("nothing == 3", Verdict.DENY),
        ("actor.meta.gone == 3", Verdict.DENY),
        ("actor.id > 3", Verdict.DENY),
        ("1 + 1", Verdict.DENY),
    ],
)
def test_expressions_allow_abstain_or_deny_by_error(expression: str, verdict: Verdict) -> None:
    """SE15, SE3: a missing name, a type error and a non-boolean deny."""
    check = Check(Actor("ann", {"level": 7}), "do", "thing", {"size": 3})
    assert policy(expression).verdict(check) is verdict
    assert Scope([policy(expression)]).explain(check).verdict is verdict


@pytest.mark.parametrize("expression", ["", "a +", 3])
def test_a_bad_expression_is_a_load_error(expression: object) -> None:
    """SE14."""
    with pytest.raises(FieldError, match=r"policy\.expression"):
        policy(expression)


def test_without_the_extra_the_entry_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """SE15: the load error says what to install."""
    monkeypatch.setitem(sys.modules, "cel", None)
    with pytest.raises(FieldError, match=r"trio-actors\[policy\]"):
        policy("true")
