"""Every permission of both documents, with every kind of answer. Rules: SE4-SE7, A1-A8, GC4.

One table: action, resource, how a process asks for it. Each row runs with allow, deny, deny beside
allow, no opinion, a condition that fails, a missing actor or scope, and both in strict mode.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

import trio_actors
from trio_actors import ProcessContext, ProcessPermissionDenied, contract, funcs, open_node
from trio_actors.functions import open_functions, parse_binding, parse_definition
from trio_actors.security import Actor, Scope, can, explain, parse_policy
from trio_actors.security.store import MemoryStore
from trio_actors.security.tokens import TokenStore

HOST = "app:host"


async def idle(ctx: ProcessContext) -> None:
    await ctx.receive()


IDLE = f"{idle.__module__}:idle"
Ask = Callable[[ProcessContext, str], Any]


def security() -> Any:
    return funcs.service().security


def tokens() -> TokenStore:
    return funcs.service().security.token_stores["app:tokens"]


def token() -> str:
    """A token of the store, made by nobody in particular."""
    return TOKEN[0]


TOKEN: list[str] = []
ANN = Actor("ann")

# action, resource ("" is the PID of another process), the operation.
TABLE: list[tuple[str, str, Ask]] = [
    ("process.spawn", IDLE, lambda ctx, other: ctx.spawn(idle, host=HOST)),
    ("process.spawn.monitored", IDLE, lambda ctx, other: ctx.spawn(idle, host=HOST, monitor=True)),
    ("process.spawn.linked", IDLE, lambda ctx, other: ctx.spawn(idle, host=HOST, link=True)),
    ("process.host", HOST, lambda ctx, other: ctx.spawn(idle, host=HOST)),
    ("process.call", f"{IDLE}", lambda ctx, other: _call(ctx)),
    ("process.send", "", lambda ctx, other: ctx.send(other, "t")),
    ("process.terminate", "", lambda ctx, other: ctx.terminate(other)),
    ("process.cancel", "", lambda ctx, other: ctx.cancel(other)),
    ("process.monitor", "", lambda ctx, other: ctx.monitor(other)),
    ("process.unmonitor", "", lambda ctx, other: ctx.unmonitor(other)),
    ("process.link", "", lambda ctx, other: ctx.link(other)),
    ("process.unlink", "", lambda ctx, other: ctx.unlink(other)),
    ("process.context", "context", lambda ctx, other: ctx.spawn(idle, host=HOST, context={"a": 1})),
    ("process.security", "security", lambda ctx, other: ctx.spawn(idle, host=HOST, actor=ANN)),
    ("process.registry.register", "name", lambda ctx, other: ctx.register("name")),
    ("process.registry.unregister", "name", lambda ctx, other: ctx.unregister("name")),
    ("funcs.call", "app:f", lambda ctx, other: funcs.call("app:f")),
    ("funcs.call", "app:f", lambda ctx, other: funcs.async_("app:f")),
    ("funcs.call", "app:f", lambda ctx, other: ctx.call_function("app:f")),
    ("funcs.context", "context", lambda ctx, other: funcs.new().with_context({"a": 1})),
    ("funcs.security", "security", lambda ctx, other: funcs.new().with_actor(ANN)),
    ("funcs.security", "security", lambda ctx, other: funcs.new().with_scope(Scope())),
    ("contract.get", "app:c", lambda ctx, other: contract.get("app:c")),
    ("contract.open", "app:b", lambda ctx, other: contract.open("app:b?x=1")),
    ("contract.implementations", "app:c", lambda ctx, o: contract.find_implementations("app:c")),
    ("contract.call", "app:c.go", lambda ctx, other: contract.open("app:b").go()),
    ("contract.call", "app:c.go", lambda ctx, other: contract.open("app:b").go_async()),
    ("contract.context", "context", lambda ctx, o: contract.get("app:c").with_context({"a": 1})),
    ("contract.security", "security", lambda ctx, other: contract.get("app:c").with_actor(ANN)),
    ("contract.security", "security", lambda ctx, other: contract.get("app:c").with_scope(Scope())),
    ("security.actor.create", "bob", lambda ctx, other: security().new_actor("bob")),
    ("security.scope.create", "custom", lambda ctx, other: security().new_scope()),
    ("security.scope.create", "with", lambda ctx, o: security().scope_with(Scope(), POLICY)),
    ("security.scope.create", "without", lambda ctx, o: security().scope_without(Scope(), "x")),
    ("security.policy.get", "app:p", lambda ctx, other: security().policy("app:p")),
    ("security.policy_group.get", "app:g", lambda ctx, other: security().named_scope("app:g")),
    ("security.token_store.get", "app:tokens", lambda ctx, o: security().token_store("app:tokens")),
    ("security.token.create", "app:tokens", lambda ctx, other: tokens().create(ANN, Scope())),
    ("security.token.validate", "app:tokens", lambda ctx, other: tokens().validate(token())),
    ("security.token.revoke", "app:tokens", lambda ctx, other: tokens().revoke(token())),
    ("store.get", "app:store", lambda ctx, other: security().store("app:store")),
]
POLICY = parse_policy(
    "app:p",
    {"policy": {"actions": "x", "resources": "x", "effect": "allow"}, "groups": ["g"]},
)


async def _call(ctx: ProcessContext) -> None:
    async def ends(ctx: ProcessContext) -> None: ...

    class Ends:
        id = IDLE

        def prepare(self, host: Any, args: Any) -> Any:
            return trio_actors._core.code.function_target(ends).prepare(host, args)

    await ctx.call(Ends(), host=HOST)


def rule(name: str, action: str, resource: str, effect: str, **more: Any) -> Any:
    body = {"actions": action, "resources": resource, "effect": effect, **more}
    return parse_policy(f"app:{name}", {"policy": body})


@attrs.frozen
class Case:
    """A security context and whether the operation is permitted in it."""

    name: str
    permitted: bool
    policies: tuple[str, ...] = ()
    actor: bool = True
    scope: bool = True
    strict: bool = False


CASES = [
    Case("allow", True, ("others", "allow")),
    Case("deny", False, ("others", "deny")),
    Case("deny beside allow", False, ("others", "allow", "deny")),
    Case("no opinion", False, ("others",)),
    Case("condition is an error", False, ("others", "allow", "error")),
    Case("condition is false", False, ("others", "conditional")),
    Case("empty scope", False),
    Case("no actor", True, ("deny",), actor=False),
    Case("no scope", True, scope=False),
    Case("no actor, strict", False, ("allow", "others"), actor=False, strict=True),
    Case("no scope, strict", False, scope=False, strict=True),
]


def scope_of(case: Case, action: str, resource: str) -> Scope:
    """The policies of a case; `others` allows everything but this action on this resource."""
    number = {"operator": "lt", "field": "resource", "value": 3}
    false = {"operator": "eq", "field": "actor.id", "value": "nobody"}
    made = {
        "allow": rule("allow", action, resource, "allow"),
        "deny": rule("deny", action, resource, "deny"),
        "error": rule("error", action, resource, "allow", conditions=[number]),
        "conditional": rule("conditional", action, resource, "allow", conditions=[false]),
        "others": rule("others", "*", "*", "allow"),
    }
    policies = [made[name] for name in case.policies if name != "others"]
    if "others" in case.policies:
        actions = sorted({row[0] for row in TABLE} - {action})
        policies.append(rule("others", actions, "*", "allow"))  # type: ignore[arg-type]
    return Scope(policies)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize(
    ("action", "resource", "ask"), TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)]
)
async def test_every_permission_is_asked_for(
    action: str, resource: str, ask: Ask, case: Case
) -> None:
    """SE5, A6-A8: and a denial is PERMISSION_DENIED, not retryable (GC4, A4)."""
    outcome: list[Any] = []

    async def asks(ctx: ProcessContext, other: str) -> None:
        try:
            result = ask(ctx, other)
            if isinstance(result, Awaitable):
                await result
        except ProcessPermissionDenied as error:
            outcome.append(error.retryable is False and "not allowed" in str(error))
        else:
            outcome.append("permitted")

    async with open_node(strict=case.strict) as node, open_functions(node) as functions:
        prepare(functions)
        async with node.open_host(HOST, drain=0) as host:
            other = await host.spawn(idle)
            scope = scope_of(case, action, resource or other)
            pid = await host.spawn(
                asks,
                other,
                actor=ANN if case.actor else None,
                scope=scope if case.scope else None,
            )
            await node.wait(pid)
    assert outcome == (["permitted"] if case.permitted else [True])


def prepare(functions: Any) -> None:
    """One function, contract, binding, policy and store of every sort."""
    functions.register("app:f", lambda: None)
    functions.contracts.define(parse_definition("app:c", {"methods": [{"name": "go"}]}))
    part = {"contract": "app:c", "methods": {"go": "app:f"}}
    functions.contracts.bind(parse_binding("app:b", {"contracts": [part]}))
    functions.security.policies["app:p"] = POLICY
    store = functions.security.stores["app:store"] = MemoryStore(functions.node, "app:store")
    made = TokenStore(functions.node, functions.security, "app:tokens", store)
    functions.security.token_stores["app:tokens"] = made
    TOKEN[:] = [made.create(ANN, Scope())]


async def test_can_is_true_for_an_explicit_allow_only() -> None:
    """SE6: whatever the mode; explain says who decided."""
    seen: list[Any] = []

    async def asks(ctx: ProcessContext) -> None:
        why = explain("read", "x", {"size": 3})
        seen.append((can("read", "x"), can("write", "x"), why.policy, why.reason))

    async with open_node() as node, open_functions(node), node.open_host(HOST) as host:
        await host.spawn(asks)
        await host.spawn(asks, actor=ANN)
        await host.spawn(asks, actor=ANN, scope=Scope())
        await host.spawn(asks, actor=ANN, scope=Scope([rule("r", "read", "*", "allow")]))
        await host.join()
    assert sorted(seen, key=str) == [
        (False, False, None, "the scope is empty"),
        (False, False, None, "there is no actor"),
        (False, False, None, "there is no scope"),
        (True, False, "app:r", "app:r says allow (matches)"),
    ]


async def test_policies_see_the_callers_pid() -> None:
    """SE7, A1."""
    seen: list[Any] = []

    async def asks(ctx: ProcessContext) -> None:
        mine = {"field": "pid", "operator": "eq", "value": ctx.pid}
        scope = Scope([rule("mine", "*", "*", "allow", conditions=[mine])])
        await ctx.spawn(calls, host=HOST, scope=scope)

    async def calls(ctx: ProcessContext) -> None:
        with pytest.raises(ProcessPermissionDenied):
            await funcs.call("app:f")
        seen.append("denied: another pid")

    async with open_node() as node, open_functions(node) as functions:
        functions.register("app:f", lambda: None)
        async with node.open_host(HOST) as host:
            await host.spawn(asks, actor=ANN)
            await host.join()
    assert seen == ["denied: another pid"]
