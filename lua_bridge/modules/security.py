"""The Lua module `security`. Rules: functions.md section 9.3.

Actors, scopes, policies and token stores are Python objects that the script holds by number.
"""

from __future__ import annotations

from typing import Any

from lua_bridge import handles
from lua_bridge.modules import LuaModule, Values
from lua_bridge.modules.funcs import mapping, service_of
from trio_actors import ProcessContext
from trio_actors.security import Actor, Policy, Scope, can, explain
from trio_actors.security.tokens import TokenStore


def _actor(ctx: ProcessContext) -> Values:
    return _shown_actor(ctx, ctx.actor)


def _shown_actor(ctx: ProcessContext, actor: Any) -> Values:
    return Values(handles.keep(ctx, actor), actor.id) if isinstance(actor, Actor) else Values(None)


def _scope(ctx: ProcessContext) -> int | None:
    return handles.keep(ctx, ctx.scope) if isinstance(ctx.scope, Scope) else None


def _actor_meta(ctx: ProcessContext, actor: int) -> Any:
    return dict(handles.find(ctx.process, actor, Actor).meta)


def _new_actor(ctx: ProcessContext, id: str, meta: Any = None) -> Values:
    return _shown_actor(ctx, service_of(ctx).security.new_actor(id, mapping(meta)))


def _new_scope(ctx: ProcessContext, policies: list[int]) -> int:
    items = [handles.find(ctx.process, number, Policy) for number in policies]
    return handles.keep(ctx, service_of(ctx).security.new_scope(items))


def _with(ctx: ProcessContext, scope: int, policy: int) -> int:
    found = handles.find(ctx.process, policy, Policy)
    base = handles.find(ctx.process, scope, Scope)
    return handles.keep(ctx, service_of(ctx).security.scope_with(base, found))


def _without(ctx: ProcessContext, scope: int, id: str) -> int:
    base = handles.find(ctx.process, scope, Scope)
    return handles.keep(ctx, service_of(ctx).security.scope_without(base, id))


def _evaluate(
    ctx: ProcessContext, number: int, actor: int, action: str, resource: str, meta: Any = None
) -> str:
    judge = handles.find(ctx.process, number, object)
    if not isinstance(judge, Scope | Policy):
        raise TypeError("expected a scope or a policy")
    who = handles.find(ctx.process, actor, Actor)
    return judge.evaluate(who, action, resource, mapping(meta) or {}).value


def _contains(ctx: ProcessContext, scope: int, id: str) -> bool:
    return handles.find(ctx.process, scope, Scope).contains(id)


def _policies(ctx: ProcessContext, scope: int) -> Any:
    found = handles.find(ctx.process, scope, Scope).policies()
    return [[handles.keep(ctx, policy), policy.id] for policy in found]


def _policy(ctx: ProcessContext, id: str) -> Values:
    policy = service_of(ctx).security.policy(id)
    return Values(handles.keep(ctx, policy), policy.id)


def _named_scope(ctx: ProcessContext, group: str) -> int:
    return handles.keep(ctx, service_of(ctx).security.named_scope(group))


def _can(ctx: ProcessContext, action: str, resource: str, meta: Any = None) -> bool:
    return can(action, resource, mapping(meta))


def _explain(ctx: ProcessContext, action: str, resource: str, meta: Any = None) -> Any:
    decision = explain(action, resource, mapping(meta))
    return {
        "verdict": decision.verdict.value,
        "allowed": decision.allowed,
        "policy": decision.policy,
        "reason": decision.reason,
        "steps": [
            {"policy": step.policy, "verdict": step.verdict.value, "reason": step.reason}
            for step in decision.steps
        ],
    }


def _token_store(ctx: ProcessContext, id: str) -> int:
    return handles.keep(ctx, service_of(ctx).security.token_store(id))


def _create(ctx: ProcessContext, store: int, actor: int, scope: int, options: Any = None) -> str:
    given = mapping(options) or {}
    return handles.find(ctx.process, store, TokenStore).create(
        handles.find(ctx.process, actor, Actor),
        handles.find(ctx.process, scope, Scope),
        expiration=given.get("expiration"),
        meta=mapping(given.get("meta")),
    )


def _validate(ctx: ProcessContext, store: int, token: str) -> Values:
    actor, scope = handles.find(ctx.process, store, TokenStore).validate(token)
    return Values(handles.keep(ctx, actor), actor.id, handles.keep(ctx, scope))


def _revoke(ctx: ProcessContext, store: int, token: str) -> bool:
    handles.find(ctx.process, store, TokenStore).revoke(token)
    return True


def _close(ctx: ProcessContext, store: int) -> bool:
    handles.find(ctx.process, store, TokenStore).close()
    return True


MODULE = LuaModule(
    "security",
    operations={
        "actor": _actor,
        "scope": _scope,
        "actor_meta": _actor_meta,
        "new_actor": _new_actor,
        "new_scope": _new_scope,
        "with": _with,
        "without": _without,
        "evaluate": _evaluate,
        "contains": _contains,
        "policies": _policies,
        "policy": _policy,
        "named_scope": _named_scope,
        "can": _can,
        "explain": _explain,
        "token_store": _token_store,
        "create": _create,
        "validate": _validate,
        "revoke": _revoke,
        "close": _close,
    },
)
