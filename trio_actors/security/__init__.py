"""Permissions: actors, scopes of policies, decisions that can be explained.

`Policy` and `Scope` are values; `Scope.decide` answers, `Scope.explain` answers with reasons;
`PolicyGuard` makes a node's permission checks use them.
"""

from trio_actors.security.actor import Actor
from trio_actors.security.conditions import Check, Condition
from trio_actors.security.guard import PolicyGuard, can, explain
from trio_actors.security.policy import (
    Decision,
    Policy,
    PolicyStep,
    Scope,
    Verdict,
    parse_policy,
)

__all__ = [
    "Actor",
    "Check",
    "Condition",
    "Decision",
    "Policy",
    "PolicyGuard",
    "PolicyStep",
    "Scope",
    "Verdict",
    "can",
    "explain",
    "parse_policy",
]
