"""What `can`, `explain` and policies about PIDs say. Rules: SE6, SE7, A1.

The table of all permissions is tests/test_registry/test_permission_table.py.
"""

from typing import Any

import pytest

from trio_actors import (
    ProcessContext,
    ProcessNotFound,
    ProcessPermissionDenied,
    funcs,
    open_node,
    security,
    store,
)
from trio_actors.functions import open_functions
from trio_actors.security import Actor, Scope, Verdict, can, explain, parse_policy

HOST = "app:host"
ANN = Actor("ann", {"level": 3})


def rule(
    name: str, action: str, resource: str, effect: str, *, groups: Any = (), **more: Any
) -> Any:
    body = {"actions": action, "resources": resource, "effect": effect, **more}
    return parse_policy(f"app:{name}", {"policy": body, "groups": list(groups)})


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


async def test_the_functions_of_the_package_are_those_of_scripts() -> None:
    """GC2: `security.new_actor` and its like act for the running process, outside for the root."""
    seen: list[Any] = []

    async def asks(ctx: ProcessContext) -> None:
        actor, scope = security.actor(), security.scope()
        assert actor is not None
        assert scope is not None
        seen.append((actor.id, actor.meta["level"], scope.contains("app:r")))
        with pytest.raises(ProcessPermissionDenied, match="not allowed: bob"):
            security.new_actor("bob")

    async with open_node() as node, open_functions(node) as functions:
        functions.security.policies["app:r"] = rule("r", "read", "*", "allow", groups=["g"])
        assert (security.actor(), security.scope()) == (None, None)
        bob = security.new_actor("bob")
        made = security.new_scope([security.policy("app:r")])
        assert made.evaluate(bob, "read", "x") is Verdict.ALLOW
        assert security.named_scope("app:g").contains("app:r")
        for missing in (security.policy, security.named_scope, security.token_store, store.get):
            with pytest.raises(ProcessNotFound):
                missing("app:gone")
        async with node.open_host(HOST) as host:
            await host.spawn(asks, actor=ANN, scope=made)
            await host.join()
    assert seen == [("ann", 3, True)]
