"""Every permission of both seed documents, asked for in Python and in Lua, with every answer.

One table: action, resource, how a Python process asks for it, how a script does. Each row runs with
each case: allow, deny, deny beside allow, no opinion, a condition that is false or an error, an
empty scope, actor or scope missing, and both of these in strict mode.

Rules: section 9.4 and 9.3 of functions.md, section 8.1 of processes.md; SE3-SE7, A1-A8, GC4.
"""

# ruff: noqa: E501  (a table)
import ast
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio.testing

import lua_bridge
import registry
import supervision
import trio_actors
from lua_bridge import LuaTarget, Script
from registry import App, open_app
from trio_actors import (
    ProcessContext,
    ProcessError,
    contract,
    events,
    funcs,
    queue,
    security,
    store,
)
from trio_actors.security import Actor, Scope, parse_policy

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: host, kind: process.host}
  - {name: idle, kind: process.lua, source: "return function() process.inbox():receive() end"}
  - {name: ends, kind: process.lua, source: "return function() end"}
  - {name: f, kind: function.lua, method: main, source: "return function() end"}
  - {name: c, kind: contract.definition, methods: [{name: go}]}
  - {name: b, kind: contract.binding, contracts: [{contract: c, default: true, methods: {go: f}}]}
  - {name: p, kind: security.policy, policy: {actions: x, resources: x, effect: allow}, groups: [g]}
  - {name: mem, kind: store.memory}
  - {name: tokens, kind: security.token_store, store: mem}
  - {name: q, kind: queue.queue}
"""
MODULES = ("funcs", "contract", "security", "registry", "events", "queue", "store")
NEW: dict[str, Any] = {"id": "app:new", "kind": "registry.entry", "data": {"n": 1}}


@attrs.frozen
class Row:
    """An operation; `other` is the PID of another process, and the resource where none is given."""

    action: str
    resource: str
    python: Callable[[ProcessContext, str, App], Any]
    lua: str


def tokens(app: App) -> Any:
    return app.functions.security.token_stores["app:tokens"]


def token(app: App) -> str:
    made: str = tokens(app).create(Actor("bob"), Scope())
    return made


IDLE, ENDS, HOST = "app:idle", "app:ends", "app:host"
TABLE = [
    # processes.md 8.1, the seed's table
    Row("process.spawn", IDLE, lambda c, o, a: c.spawn(IDLE, host=HOST), 'return process.spawn("app:idle", "app:host")'),
    Row("process.spawn", IDLE, lambda c, o, a: c.spawn(IDLE, host=HOST, context={"a": 1}), 'return process.with_context({a = 1}):spawn("app:idle", "app:host")'),
    Row("process.spawn.monitored", IDLE, lambda c, o, a: c.spawn(IDLE, host=HOST, monitor=True), 'return process.spawn_monitored("app:idle", "app:host")'),
    Row("process.spawn.monitored", IDLE, lambda c, o, a: c.spawn(IDLE, host=HOST, monitor=True, link=True), 'return process.spawn_linked_monitored("app:idle", "app:host")'),
    Row("process.spawn.linked", IDLE, lambda c, o, a: c.spawn(IDLE, host=HOST, link=True), 'return process.spawn_linked("app:idle", "app:host")'),
    Row("process.spawn.linked", IDLE, lambda c, o, a: c.spawn(IDLE, host=HOST, monitor=True, link=True), 'return process.spawn_linked_monitored("app:idle", "app:host")'),
    Row("process.host", HOST, lambda c, o, a: c.spawn(IDLE, host=HOST), 'return process.spawn("app:idle", "app:host")'),
    Row("process.host", HOST, lambda c, o, a: c.call(ENDS, host=HOST), 'return process.call("app:ends", "app:host")'),
    Row("process.call", ENDS, lambda c, o, a: c.call(ENDS, host=HOST), 'return process.call("app:ends", "app:host")'),
    Row("process.send", "", lambda c, o, a: c.send(o, "t"), 'return process.send(other, "t", 1)'),
    Row("process.terminate", "", lambda c, o, a: c.terminate(o), "return process.terminate(other)"),
    Row("process.cancel", "", lambda c, o, a: c.cancel(o), "return process.cancel(other)"),
    Row("process.monitor", "", lambda c, o, a: c.monitor(o), "return process.monitor(other)"),
    Row("process.unmonitor", "", lambda c, o, a: c.unmonitor(o), "return process.unmonitor(other)"),
    Row("process.link", "", lambda c, o, a: c.link(o), "return process.link(other)"),
    Row("process.unlink", "", lambda c, o, a: c.unlink(o), "return process.unlink(other)"),
    Row("process.context", "context", lambda c, o, a: c.spawn(IDLE, host=HOST, context={"a": 1}), "return process.with_context({a = 1})"),
    Row("process.security", "security", lambda c, o, a: c.spawn(IDLE, host=HOST, actor=Actor("b")), 'return process.with_context({}):with_actor(security.new_actor("b"))'),
    Row("process.security", "security", lambda c, o, a: c.spawn(IDLE, host=HOST, scope=Scope()), "return process.with_context({}):with_scope(security.new_scope())"),
    Row("process.registry.register", "n", lambda c, o, a: c.register("n"), 'return process.registry.register("n")'),
    Row("process.registry.unregister", "n", lambda c, o, a: c.unregister("n"), 'return process.registry.unregister("n")'),
    # functions.md 9.4
    Row("funcs.call", "app:f", lambda c, o, a: funcs.call("app:f"), 'return funcs.call("app:f")'),
    Row("funcs.call", "app:f", lambda c, o, a: funcs.async_("app:f"), 'return funcs.async("app:f")'),
    Row("funcs.call", "app:f", lambda c, o, a: funcs.new().call("app:f"), 'return funcs.new():call("app:f")'),
    Row("funcs.call", "app:f", lambda c, o, a: c.call_function("app:f"), 'return funcs.new():async("app:f")'),
    Row("funcs.context", "context", lambda c, o, a: funcs.new().with_context({"a": 1}), "return funcs.new():with_context({a = 1})"),
    Row("funcs.security", "security", lambda c, o, a: funcs.new().with_actor(Actor("b")), 'return funcs.new():with_actor(security.new_actor("b"))'),
    Row("funcs.security", "security", lambda c, o, a: funcs.new().with_scope(Scope()), "return funcs.new():with_scope(security.new_scope())"),
    Row("contract.get", "app:c", lambda c, o, a: contract.get("app:c"), 'return contract.get("app:c")'),
    Row("contract.open", "app:b", lambda c, o, a: contract.open("app:b?x=1"), 'return contract.open("app:b?x=1")'),
    Row("contract.open", "app:b", lambda c, o, a: contract.get("app:c").open(), 'local it, err = contract.get("app:c") if not it then return nil, err end return it:open()'),
    Row("contract.implementations", "app:c", lambda c, o, a: contract.find_implementations("app:c"), 'return contract.find_implementations("app:c")'),
    Row("contract.call", "app:c.go", lambda c, o, a: contract.open("app:b").go(), 'local it, err = contract.open("app:b") if not it then return nil, err end return it:go()'),
    Row("contract.call", "app:c.go", lambda c, o, a: contract.get("app:c").go(), 'local it, err = contract.get("app:c") if not it then return nil, err end return it:go()'),
    Row("contract.call", "app:c.go", lambda c, o, a: contract.open("app:b").go_async(), 'local it, err = contract.open("app:b") if not it then return nil, err end return it:go_async()'),
    Row("contract.context", "context", lambda c, o, a: contract.get("app:c").with_context({"a": 1}), 'local it, err = contract.get("app:c") if not it then return nil, err end return it:with_context({a = 1})'),
    Row("contract.security", "security", lambda c, o, a: contract.get("app:c").with_actor(Actor("b")), 'local it, err = contract.get("app:c") if not it then return nil, err end return it:with_actor(security.new_actor("b"))'),
    Row("contract.security", "security", lambda c, o, a: contract.get("app:c").with_scope(Scope()), 'local it, err = contract.get("app:c") if not it then return nil, err end return it:with_scope(security.new_scope())'),
    Row("registry.get", "app:f", lambda c, o, a: a.registry.get("app:f", caller=c), 'return registry.get("app:f")'),
    Row("registry.apply", "", lambda c, o, a: a.registry.apply(a.registry.changes().create(NEW).ops(), caller=c), 'return registry.snapshot():changes():create{id = "app:new", kind = "registry.entry", data = {n = 1}}:apply()'),
    Row("registry.apply_version", "", lambda c, o, a: a.registry.apply_version(0, caller=c), "return registry.apply_version(registry.current_version())"),
    Row("events.subscribe", "sys", lambda c, o, a: events.subscribe("sys"), 'return events.subscribe("sys")'),
    Row("events.send", "sys", lambda c, o, a: events.send("sys", "k", "p"), 'return events.send("sys", "k", "p")'),
    Row("queue.publish", "app:q", lambda c, o, a: queue.publish("app:q", "x"), 'return queue.publish("app:q", "x")'),
    Row("store.get", "app:mem", lambda c, o, a: store.get("app:mem"), 'return store.get("app:mem")'),
    # functions.md 9.3
    Row("security.actor.create", "bob", lambda c, o, a: security.new_actor("bob"), 'return security.new_actor("bob")'),
    Row("security.scope.create", "custom", lambda c, o, a: security.new_scope(), "return security.new_scope()"),
    Row("security.scope.create", "with", lambda c, o, a: a.functions.security.scope_with(Scope(), OTHER), 'local s, err = security.new_scope() if not s then return nil, err end local p, gone = security.policy("app:p") if not p then return nil, gone end return s:with(p)'),
    Row("security.scope.create", "without", lambda c, o, a: a.functions.security.scope_without(Scope(), "x"), 'local s, err = security.new_scope() if not s then return nil, err end return s:without("x")'),
    Row("security.policy.get", "app:p", lambda c, o, a: security.policy("app:p"), 'return security.policy("app:p")'),
    Row("security.policy_group.get", "app:g", lambda c, o, a: security.named_scope("app:g"), 'return security.named_scope("app:g")'),
    Row("security.token_store.get", "app:tokens", lambda c, o, a: security.token_store("app:tokens"), 'return security.token_store("app:tokens")'),
    Row("security.token.create", "app:tokens", lambda c, o, a: tokens(a).create(Actor("b"), Scope()), 'local t, err = security.token_store("app:tokens") if not t then return nil, err end return t:create(security.new_actor("b"), security.new_scope(), {})'),
    Row("security.token.validate", "app:tokens", lambda c, o, a: tokens(a).validate(token_of(a)), 'local t, err = security.token_store("app:tokens") if not t then return nil, err end local actor, _, why = t:validate(token) return actor, why'),
    Row("security.token.revoke", "app:tokens", lambda c, o, a: tokens(a).revoke(token_of(a)), 'local t, err = security.token_store("app:tokens") if not t then return nil, err end return t:revoke(token)'),
]  # fmt: skip
OTHER = parse_policy("app:o", {"policy": {"actions": "x", "resources": "x", "effect": "allow"}})
TOKENS: dict[int, str] = {}


def token_of(app: App) -> str:
    """The token that nobody in particular made for this run."""
    return TOKENS[id(app)]


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
    Case("allow, strict", True, ("others", "allow"), strict=True),
    Case("no opinion, strict", False, ("others",), strict=True),
]
ACTIONS = sorted({row.action for row in TABLE})


def rule(name: str, action: Any, resource: str, effect: str, **more: Any) -> Any:
    body = {"actions": action, "resources": resource or "*", "effect": effect, **more}
    return parse_policy(f"t:{name}", {"policy": body})


def scope_of(case: Case, action: str, resource: str) -> Scope:
    """The policies of a case; `others` allows everything but this action."""
    number = {"operator": "lt", "field": "action", "value": 3}
    false = {"operator": "eq", "field": "actor.id", "value": "nobody"}
    made = {
        "allow": rule("allow", action, resource, "allow"),
        "deny": rule("deny", action, resource, "deny"),
        "error": rule("error", action, resource, "allow", conditions=[number]),
        "conditional": rule("conditional", action, resource, "allow", conditions=[false]),
        "others": rule("others", [a for a in ACTIONS if a != action], "*", "allow"),
    }
    # The same action on another resource, which some of the longer rows need on their way.
    if action == "security.scope.create":
        made["others2"] = rule("others2", action, "custom", "allow")
        if resource != "custom" and "others" in case.policies:
            return Scope([made[name] for name in (*case.policies, "others2")])
    return Scope([made[name] for name in case.policies])


def answer(value: Any, error: tuple[str, Any, str] | None) -> str:
    """`ok`, `denied`, or what else came."""
    if error is None:
        return "ok"
    kind, retryable, text = error
    if kind == "PermissionDenied":
        return "denied" if retryable in (False, "false") and "not allowed" in text else text
    return f"{kind}: {text}"


async def in_python(app: App, row: Row, other: str, **options: Any) -> str:
    """What a Python process gets."""
    got: list[str] = []

    async def asks(ctx: ProcessContext) -> None:
        try:
            value = row.python(ctx, other, app)
            if isinstance(value, Awaitable):
                value = await value
        except ProcessError as error:
            got.append(answer(None, (error.kind.value, error.retryable, str(error))))
        else:
            got.append(answer(value, None))

    await app.node.wait(await app.node.hosts[HOST].spawn(asks, **options))
    return got[0]


async def in_lua(app: App, row: Row, other: str, **options: Any) -> str:
    """What a script gets; `process.with_…` raises its denials (A4), everything else returns them."""
    source = f"""return function(other, token)
      local ok, value, err = pcall(function() {row.lua} end)
      if not ok then value, err = nil, value end
      if value ~= nil or err == nil then return {{}} end
      return {{err:kind(), tostring(err:retryable()), err:message()}}
    end"""
    target = LuaTarget(Script("t:asks", source, modules=MODULES))
    pid = await app.node.hosts[HOST].spawn(target, other, token_of(app), **options)
    found = (await app.node.wait(pid)).unwrap()
    return answer(None, tuple(found) if found else None)


@pytest.mark.parametrize("ask", [in_python, in_lua])
@pytest.mark.parametrize("row", TABLE, ids=[f"{n}-{row.action}" for n, row in enumerate(TABLE)])
async def test_every_permission_is_asked_for(
    row: Row, ask: Any, write_app: WriteApp, autojump_clock: trio.testing.MockClock
) -> None:
    """SE5, A6-A8, GC4: permitted or denied as the case says, and never anything else."""
    outcomes: dict[str, str] = {}
    async with open_app(write_app({"main.yaml": MAIN})) as app:
        TOKENS[id(app)] = token(app)
        for case in CASES:
            other = await app.node.hosts[HOST].spawn(IDLE)
            resource = row.resource or ("" if row.action.startswith("registry") else other)
            app.node.strict = case.strict
            outcomes[case.name] = await ask(
                app,
                row,
                other,
                actor=Actor("ann") if case.actor else None,
                scope=scope_of(case, row.action, resource) if case.scope else None,
            )
            app.node.strict = False
            if row.action == "registry.apply" and outcomes[case.name] == "ok":
                await app.registry.changes().delete("app:new").apply()
            if row.action == "security.token.revoke":
                TOKENS[id(app)] = token(app)
    assert outcomes == {case.name: "ok" if case.permitted else "denied" for case in CASES}


def asked_in_the_code() -> set[str]:
    """Every action that some `require` or `permitted` of the packages names."""
    found: set[str] = set()
    for package in (trio_actors, supervision, lua_bridge, registry):
        for path in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _name(node.func).strip("_") in ASKING:
                    found |= {
                        arg.value
                        for arg in node.args
                        if isinstance(arg, ast.Constant) and "." in str(arg.value)
                    }
    return found


ASKING = ("require", "permitted", "check")


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


# Asked for requests, by no program: test_http.py and test_http_sockets.py have their cases (HT8).
OF_EDGES = {"http.request"}


def test_the_table_is_complete() -> None:
    """What the code asks for stands in the table, and the other way round."""
    assert asked_in_the_code() == set(ACTIONS) | OF_EDGES
