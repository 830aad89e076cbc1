"""Permissions: actors, scopes of policies, decisions that can be explained.

`Policy` and `Scope` are values; `Scope.decide` answers, `Scope.explain` answers with reasons;
`PolicyGuard` makes a node's permission checks use them. The functions in lower case are what
processes and functions use, as scripts do (GC2).
"""

from trio_actors.security.actors import Actor
from trio_actors.security.conditions import Check, Condition
from trio_actors.security.guard import PolicyGuard, can, explain
from trio_actors.security.here import (
    actor,
    named_scope,
    new_actor,
    new_scope,
    policy,
    scope,
    token_store,
)
from trio_actors.security.policies import (
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
    "actor",
    "can",
    "explain",
    "named_scope",
    "new_actor",
    "new_scope",
    "parse_policy",
    "policy",
    "scope",
    "token_store",
]
