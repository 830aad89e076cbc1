"""A change that fails at any step leaves what it found: RG5, for every kind that runs something."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import App, Entry, open_app
from registry.kind import Definition
from registry.kinds.http import edge_of
from registry.transaction import Action, Step, carry_out, plan
from trio_actors import ProcessUnavailable
from trio_actors.queues import queues_of

WriteApp = Callable[..., Path]
MAIN = """\
namespace: app
entries:
  - {name: web, kind: http.service, addr: "127.0.0.1:0", lifecycle: {auto_start: true}}
  - {name: router, kind: http.router, meta: {server: web}}
  - {name: a, kind: http.endpoint, meta: {router: router}, path: /a, func: f}
  - {name: b, kind: http.endpoint, meta: {router: router}, path: /b, func: f}
  - {name: f, kind: function.lua, method: m, source: "return {m = function() return 1 end}"}
  - {name: mail, kind: queue.queue, driver: sqlite, file: mail.sqlite}
  - {name: fast, kind: queue.queue}
  - {name: reader, kind: queue.consumer, queue: fast, func: f, lifecycle: {auto_start: true}}
  - {name: tick, kind: schedule.job, func: f, interval: 1h, lifecycle: {auto_start: true}}
  - {name: p, kind: security.policy, policy: {actions: x, resources: x, effect: allow}}
  - {name: mem, kind: store.memory}
"""


def picture(app: App) -> dict[str, Any]:
    """What can be seen of an application from outside."""
    routes = edge_of(app).site("app:web").routes
    queues: dict[str, Any] = dict(queues_of(app.node).by_id)
    return {
        "definitions": dict(app.definitions),
        "version": str(app.registry.current_version()),
        "routes": {path: str(routes.find("GET", path)) for path in ("/a", "/b", "/c", "/v2/a")},
        "queues": {id: (type(q), q.max_length, q.terms) for id, q in queues.items()},
        "services": {s.id: s.state for s in app.supervisor.statuses()},
        "policies": dict(app.policies),
        "functions": sorted(app.functions.ids()),
        "stores": sorted(app.functions.security.stores),
        "address": edge_of(app).sites["app:web"].address is not None,
    }


def change(app: App) -> Any:
    """A set of changes that touches every kind of the application."""

    def new(name: str, kind: str, meta: Any = None, **data: Any) -> dict[str, Any]:
        return {"id": f"app:{name}", "kind": kind, "meta": meta or {}, "data": data}

    code = "return {m = function() return 2 end}"
    allow = {"actions": "y", "resources": "y", "effect": "allow"}
    start = {"auto_start": True}
    return (
        app.registry.changes()
        .update(new("web", "http.service", addr="127.0.0.1:0", max_body=5, lifecycle=start))
        .update(new("router", "http.router", {"server": "app:web"}, prefix="/v2"))
        .create(new("c", "http.endpoint", {"router": "app:router"}, path="/c", func="app:f"))
        .delete("app:b")
        .update(new("f", "function.lua", method="m", source=code))
        .update(new("mail", "queue.queue", driver="sqlite", file="mail.sqlite", max_length=9))
        .create(new("more", "queue.queue", driver="sqlite", file="mail.sqlite"))
        .update(new("fast", "queue.queue", max_attempts=2))
        .update(new("reader", "queue.consumer", queue="app:mail", func="app:f", lifecycle=start))
        .update(new("tick", "schedule.job", func="app:f", interval="2h", lifecycle=start))
        .update(new("p", "security.policy", policy=allow))
        .delete("app:mem")
    )


async def test_a_fault_at_any_step_of_any_kind(write_app: WriteApp) -> None:
    """Every one of the steps fails once, before it began; then the same change goes through."""
    async with open_app(write_app({"main.yaml": MAIN})) as app:
        before, do = picture(app), app.registry._do
        steps = len(change(app).ops())
        for broken in range(steps):
            left = broken

            async def failing(step: Step) -> None:
                nonlocal left
                left -= 1
                if left == -1:
                    raise ProcessUnavailable("a fault")
                await do(step)

            app.registry._do = failing  # type: ignore[method-assign]
            with pytest.raises(ProcessUnavailable, match="a fault"):
                await change(app).apply()
            assert left < 0
            assert picture(app) == before, broken
        app.registry._do = do  # type: ignore[method-assign]
        await change(app).apply()
        after = picture(app)
        assert after["version"] == "v1"
        assert "Unknown" in after["routes"]["/c"]  # it is below /v2 now
        assert "Found" in after["routes"]["/v2/a"]
        assert after["queues"].keys() == {"app:mail", "app:more", "app:fast"}
        await app.registry.apply_version(0)
        assert {**picture(app), "version": ""} == {**before, "version": ""}


LOSSY = """\
namespace: app
entries:
  - {name: host, kind: process.host}
  - {name: waits, kind: process.lua, source: "return function() process.inbox():receive() end"}
  - {name: fast, kind: queue.queue, dead_letter: dead}
  - {name: dead, kind: queue.queue}
  - {name: mem, kind: store.memory}
  - {name: tokens, kind: security.token_store, store: mem}
  - {name: plain, kind: registry.entry}
"""


async def test_a_refused_change_has_lost_nothing(write_app: WriteApp) -> None:
    """RG5: messages, processes and values outlive a change that would have removed their places.

    Limits of a store change without losing its values, also with a token store that uses it.
    """
    async with open_app(write_app({"main.yaml": LOSSY})) as app:
        stores, do = app.functions.security.stores, app.registry._do
        await queues_of(app.node).publish("app:fast", "a message")
        stores["app:mem"].set("key", "value")
        pid = await app.spawn("app:waits", "app:host")
        removals = ("host", "fast", "dead", "tokens", "mem", "plain")

        def change() -> Any:
            found = app.registry.changes().create(
                {"id": "app:new", "kind": "registry.entry", "data": {}}
            )
            for name in removals:
                found.delete(f"app:{name}")
            return found

        order: list[str] = []

        async def failing(step: Step) -> None:
            definition = step.new or step.old
            assert definition is not None
            order.append(definition.id)
            if definition.id == "app:new":
                raise ProcessUnavailable("a fault")
            await do(step)

        app.registry._do = failing  # type: ignore[method-assign]
        with pytest.raises(ProcessUnavailable, match="a fault"):
            await change().apply()
        assert "app:plain" in order[: order.index("app:new")]  # this one comes back whole
        assert queues_of(app.node).info("app:fast").ready == 1
        assert stores["app:mem"].get("key") == "value"
        assert pid in app.node.processes
        app.registry._do = do  # type: ignore[method-assign]
        limits = {"id": "app:mem", "kind": "store.memory", "data": {"max_size": 1}}
        await app.registry.changes().update(limits).apply()
        assert stores["app:mem"].get("key") == "value"
        with pytest.raises(ProcessUnavailable, match="full"):
            stores["app:mem"].set("more", 1)
        assert app.functions.security.token_stores["app:tokens"]._store is stores["app:mem"]
        await change().apply()
        assert app.definitions.keys() == {"app:waits", "app:new"}
        assert pid not in app.node.processes


STATES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2), max_size=6)


class Anything:
    """A kind without rules."""


@given(old=STATES, new=STATES, broken=st.integers(0, 12))
async def test_any_change_is_done_or_undone(
    old: dict[str, int], new: dict[str, int], broken: int
) -> None:
    """Of any two states: all steps lead to the new one, a fault before any of them to the old."""

    def definitions(state: dict[str, int]) -> dict[str, Definition]:
        return {
            f"x:{k}": Definition(Entry(f"x:{k}", "k", {}, {"n": n}), n) for k, n in state.items()
        }

    world, count = dict(definitions(old)), 0

    async def do(step: Step) -> None:
        nonlocal count
        count += 1
        if count == broken + 1:
            raise ProcessUnavailable("a fault")
        assert step.action is not Action.ADD or step.new.id not in world  # type: ignore[union-attr]
        if step.old is not None:
            assert world.pop(step.old.id) == step.old
        if step.new is not None:
            world[step.new.id] = step.new

    steps = plan(definitions(old), definitions(new), lambda _: Anything())  # type: ignore[arg-type, return-value]
    if broken < len(steps):
        with pytest.raises(ProcessUnavailable):
            await carry_out(steps, do)
        assert world == definitions(old)
    else:
        await carry_out(steps, do)
        assert world == definitions(new)
