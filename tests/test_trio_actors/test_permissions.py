"""Permissions (processes.md §8): what is asked, in which order, and what a denial does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trio

from trio_actors import (
    Host,
    Node,
    ProcessContext,
    ProcessError,
    ProcessNotFound,
    ProcessPermissionDenied,
    ProcessUnavailable,
    open_node,
)


class Recorder:
    """A guard that notes every question and denies the actions it was told to."""

    def __init__(self, *denied: str, fails: bool = False) -> None:
        self.denied = denied
        self.fails = fails
        self.asked: list[tuple[str, str]] = []
        self.attributes: list[Mapping[str, Any]] = []

    def permits(
        self, actor: Any, scope: Any, action: str, resource: str, attributes: Mapping[str, Any]
    ) -> bool:
        assert (actor, scope) == ("ann", "scope")
        self.asked.append((action, resource))
        self.attributes.append(dict(attributes))
        if self.fails:
            raise ZeroDivisionError
        return action not in self.denied


async def idle(ctx: ProcessContext) -> None:
    """Waits for ever."""
    await trio.sleep_forever()


IDLE = f"{__name__}:idle"
Body = Callable[[ProcessContext], Any]


async def run_as(host: Host, guard: Recorder, body: Body, **options: Any) -> Any:
    """What a body returns that runs with actor and scope under this guard."""
    host.node.guard = guard

    async def process(ctx: ProcessContext) -> Any:
        result = body(ctx)
        return await result if hasattr(result, "__await__") else result

    pid = await host.spawn(process, actor="ann", scope="scope", **options)
    return (await host.node.wait(pid)).unwrap()


TARGETED = ["send", "terminate", "cancel", "monitor", "unmonitor", "link", "unlink"]


@pytest.mark.parametrize("op", TARGETED)
@pytest.mark.parametrize("by", ["pid", "name"])
async def test_operation_on_a_target_is_denied(host: Host, op: str, by: str) -> None:
    """A4, M8: the resource is the PID, a name is resolved first; the text shows the destination."""
    pid = await host.spawn(idle, name="bob")
    dest = "bob" if by == "name" else pid
    guard = Recorder(f"process.{op}")

    def body(ctx: ProcessContext) -> None:
        method = getattr(ctx, op)
        with pytest.raises(ProcessPermissionDenied) as caught:
            method(dest, "topic") if op == "send" else method(dest)
        assert str(caught.value) == f"not allowed to {op}: {dest}"

    await run_as(host, guard, body)
    assert guard.asked == [(f"process.{op}", pid)]
    topology = host.node.topology
    assert (host.node.processes[pid].forced, host.node.processes[pid].mailbox.depth()) == (None, 0)
    assert (topology.watchers_of(pid), topology.links_of(pid)) == ([], [])


async def test_guard_sees_the_callers_pid(host: Host) -> None:
    """A1: the attributes are `{pid = <caller's PID>}`."""
    guard = Recorder()

    def body(ctx: ProcessContext) -> str:
        ctx.send(ctx.pid, "t")
        return ctx.pid

    pid = await run_as(host, guard, body)
    assert guard.attributes == [{"pid": pid}]


FORMS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["process.spawn", "process.host"]),
    ({"monitor": True}, ["process.spawn", "process.spawn.monitored", "process.host"]),
    ({"link": True}, ["process.spawn", "process.spawn.linked", "process.host"]),
    (
        {"monitor": True, "link": True},
        ["process.spawn", "process.spawn.monitored", "process.spawn.linked", "process.host"],
    ),
    ({"actor": "eve"}, ["process.spawn", "process.host", "process.security"]),
    ({"scope": "wide"}, ["process.spawn", "process.host", "process.security"]),
    ({"context": {"a": 1}}, ["process.spawn", "process.host", "process.context"]),
    ({"name": "n", "messages": [("t", 1)]}, ["process.spawn", "process.host"]),
]
RESOURCES = {
    "process.host": "app:main",
    "process.security": "security",
    "process.context": "context",
}
TEXTS = {
    "process.spawn": f"not allowed to spawn process: {IDLE}",
    "process.spawn.monitored": f"not allowed to spawn monitored process: {IDLE}",
    "process.spawn.linked": f"not allowed to spawn linked process: {IDLE}",
    "process.host": "not allowed to spawn on host: app:main",
    "process.security": "not allowed to change: security",
    "process.context": "not allowed to change: context",
}


@pytest.mark.parametrize(("options", "actions"), FORMS, ids=str)
async def test_sc25_spawn_needs_all_of_its_permissions(
    host: Host, options: dict[str, Any], actions: list[str]
) -> None:
    """SC25, A2-A4, PY6, W7: all in the order of the table; each denial alone stops the spawn."""
    guard = Recorder()

    async def body(ctx: ProcessContext) -> None:
        ctx.terminate(await ctx.spawn(idle, **options))

    await run_as(host, guard, body)
    assert guard.asked[:-1] == [(a, RESOURCES.get(a, IDLE)) for a in actions]
    for denied in actions:
        guard = Recorder(denied)

        async def refused(ctx: ProcessContext, denied: str = denied) -> None:
            with pytest.raises(ProcessPermissionDenied) as caught:
                await ctx.spawn(idle, **options)
            assert str(caught.value) == TEXTS[denied]

        await run_as(host, guard, refused)
        assert guard.asked[-1][0] == denied
        assert host.alive == 0


async def test_sc25_call_needs_call_and_host(host: Host) -> None:
    """SC25, C7, A4: `process.call` and `process.host`, with their texts."""

    async def gives(ctx: ProcessContext) -> int:
        return 5

    id = f"{__name__}:test_sc25_call_needs_call_and_host.<locals>.gives"
    guard = Recorder()

    async def allowed(ctx: ProcessContext) -> Any:
        return await ctx.call(gives)

    assert await run_as(host, guard, allowed) == 5
    assert guard.asked == [("process.call", id), ("process.host", "app:main")]
    texts = {
        "process.call": f"not allowed to call process: {id}",
        "process.host": "not allowed to spawn on host: app:main",
    }
    for denied, text in texts.items():

        async def refused(ctx: ProcessContext, text: str = text) -> None:
            with pytest.raises(ProcessPermissionDenied) as caught:
                await ctx.call(gives)
            assert str(caught.value) == text

        await run_as(host, Recorder(denied), refused)


async def test_names_have_their_own_actions(host: Host) -> None:
    """A4: register and unregister are asked for the name, lookup for nothing (A5)."""
    guard = Recorder("process.registry.register", "process.registry.unregister")

    def body(ctx: ProcessContext) -> None:
        with pytest.raises(ProcessPermissionDenied, match=r"^not allowed to register name: n$"):
            ctx.register("n")
        with pytest.raises(ProcessPermissionDenied, match=r"^not allowed to unregister name: n$"):
            ctx.unregister("n")
        with pytest.raises(ProcessNotFound):
            ctx.lookup("n")

    await run_as(host, guard, body)
    assert guard.asked == [("process.registry.register", "n"), ("process.registry.unregister", "n")]


async def test_what_concerns_only_oneself_is_never_asked(host: Host) -> None:
    """A5: pid, id, inbox, events, listen, options, context, upgrade and lookup are free."""
    guard = Recorder()

    async def body(ctx: ProcessContext) -> None:
        ctx.inbox, ctx.events, ctx.id, ctx.context, ctx.actor, ctx.scope
        ctx.listen("t").close()
        ctx.options.trap_links = True
        with pytest.raises(ProcessNotFound):
            ctx.lookup("n")
        await ctx.upgrade(after)

    async def after(ctx: ProcessContext) -> str:
        return "upgraded"

    assert await run_as(host, guard, body) == "upgraded"
    assert guard.asked == []


async def test_sc25_guard_that_fails_denies(host: Host) -> None:
    """SC25, A8: an error while deciding is a denial."""

    def body(ctx: ProcessContext) -> None:
        with pytest.raises(ProcessPermissionDenied):
            ctx.send(ctx.pid, "t")

    await run_as(host, Recorder(fails=True), body)


async def test_node_without_policies_denies_everything_checked(host: Host) -> None:
    """A6: with actor and scope and nothing that allows, the answer is no."""

    async def body(ctx: ProcessContext) -> None:
        with pytest.raises(ProcessPermissionDenied):
            ctx.send(ctx.pid, "t")

    pid = await host.spawn(body, actor="ann", scope="scope")
    (await host.node.wait(pid)).unwrap()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("secured", [{}, {"actor": "ann"}, {"scope": "scope"}], ids=str)
async def test_missing_actor_or_scope(
    autojump_clock: trio.testing.MockClock, strict: bool, secured: dict[str, str]
) -> None:
    """A7: allowed unless strict mode is on, without asking the guard."""

    async def body(ctx: ProcessContext) -> None:
        ctx.send(ctx.pid, "t")

    async with open_node(strict=strict) as node, node.open_host("app:main") as host:
        guard = node.guard = Recorder()
        end = await node.wait(await host.spawn(body, **secured))
    assert (end.abnormal, guard.asked) == (strict, [])


async def test_code_outside_processes_is_not_checked(node: Node) -> None:
    """A10: who holds the node or the host object may do everything."""
    async with open_node(strict=True) as strict, strict.open_host("app:main") as host:
        strict.guard = Recorder("process.spawn", "process.send", "process.terminate")
        pid = await host.spawn(idle, name="n", context={"a": 1})
        strict.send(pid, "t")
        strict.cancel(pid)
        strict.terminate("n")
        assert (await strict.wait(pid)).abnormal


async def test_checks_come_in_the_order_of_the_contract(host: Host) -> None:
    """M16: arguments, topic, resolution, permission, liveness."""
    guard = Recorder("process.send")
    dead = await host.spawn(idle)
    host.node.terminate(dead)
    await host.node.wait(dead)

    def body(ctx: ProcessContext) -> list[str]:
        texts = []
        for dest, topic in ((dead, "@x"), ("nobody", "t"), (dead, "t")):
            with pytest.raises(ProcessError) as caught:
                ctx.send(dest, topic)
            texts.append(str(caught.value))
        return texts

    assert await run_as(host, guard, body) == [
        "cannot send to @ topics",
        "could not resolve 'nobody' as PID or registered name",
        f"not allowed to send: {dead}",
    ]


async def test_permission_comes_before_the_state_of_the_host(node: Node) -> None:
    """W7: a denial is reported, not what would have come of it."""
    async with node.open_host("app:main", max_processes=1, drain=0) as host:

        async def refused(ctx: ProcessContext) -> None:
            with pytest.raises(ProcessPermissionDenied):
                await ctx.spawn(idle)

        async def full(ctx: ProcessContext) -> None:
            with pytest.raises(ProcessUnavailable):
                await ctx.spawn(idle)

        await run_as(host, Recorder("process.spawn"), refused)
        await run_as(host, Recorder(), full)
