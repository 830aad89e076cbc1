"""Starting processes (processes.md §1.3, §4; PH5, PY1, PY6-PY8)."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from stage import EXIT, PUPPETS, Stage
from unwinding import slow_to_end

from lua_bridge import LuaTarget, Script
from trio_actors import (
    ErrorKind,
    Host,
    Message,
    Node,
    ProcessAlreadyExists,
    ProcessConflict,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
    ProcessUnavailable,
    current,
)


async def idle(ctx: ProcessContext, *args: object) -> None:
    """Waits for ever."""
    await trio.sleep_forever()


async def gives(ctx: ProcessContext, *args: object) -> object:
    """Returns its arguments."""
    return args


async def count_alive(node: Node) -> int:
    """Processes alive once nothing moves."""
    await trio.testing.wait_all_tasks_blocked()
    return len(node.processes)


# -- identity and targets


async def test_pids_are_counted_over_all_hosts_and_printed_with_theirs(node: Node) -> None:
    """P1, P2: `{host|0x00001}`, one counter per node, never used again."""
    async with node.open_host("app:a", drain=0) as a, node.open_host("app:b", drain=0) as b:
        pids = [await host.spawn(gives) for host in (a, b, a)]
    assert pids == ["{app:a|0x00001}", "{app:b|0x00002}", "{app:a|0x00003}"]


async def test_id_of_a_function_is_module_and_qualname(host: Host) -> None:
    """P5, P7: `<module>:<qualname>`; pid and id are attributes."""

    async def body(ctx: ProcessContext) -> tuple[str, str, bool]:
        return ctx.pid, ctx.id, current() is ctx

    pid = await host.spawn(body)
    name = "test_id_of_a_function_is_module_and_qualname.<locals>.body"
    assert (await host.node.wait(pid)).value == (pid, f"{__name__}:{name}", True)


async def test_current_outside_every_process_is_invalid() -> None:
    """P5, DE12: no process context."""
    with pytest.raises(ProcessInvalid, match=r"^no process context$"):
        current()


async def test_missing_arguments_are_none_and_surplus_ones_dropped(host: Host) -> None:
    """E7: as many arguments as the function takes, in order."""

    async def two(ctx: ProcessContext, a: object, b: object = "default") -> object:
        return [a, b]

    call = host.node.call
    assert await call(two, host=host) == [None, "default"]
    assert await call(two, 1, host=host) == [1, "default"]
    assert await call(two, 1, 2, 3, host=host) == [1, 2]
    assert await call(gives, 1, 2, 3, host=host) == (1, 2, 3)


def sync_function(ctx: ProcessContext) -> None:
    """No coroutine function."""


async def without_context() -> None:
    """Takes no context."""


async def needs_keyword(ctx: ProcessContext, *, key: int) -> None:
    """Needs what spawn cannot give."""


@pytest.mark.parametrize("target", [sync_function, without_context, needs_keyword, 5, None])
async def test_what_cannot_be_a_process_is_refused(host: Host, target: Any) -> None:
    """A clear TypeError, and nothing was started."""
    with pytest.raises(TypeError):
        await host.spawn(target)
    assert host.alive == 0


async def test_partial_methods_and_callables_are_functions(host: Host) -> None:
    """A partial, a bound method and an object with an async call are coroutine functions too."""

    class Caller:
        async def __call__(self, ctx: ProcessContext, value: int) -> int:
            return value

        async def method(self, ctx: ProcessContext, value: int) -> int:
            return value + 1

    call = host.node.call
    assert await call(partial(gives), 1, host=host) == (1,)
    assert await call(Caller(), 1, host=host) == 1
    assert await call(Caller().method, 1, host=host) == 2


# -- spawn


async def test_sc1_child_that_ends_at_once_is_told(stage: Stage, language: str) -> None:
    """SC1, W1, W4, E11: monitor, link and name exist before the first step of the child."""
    a = await stage.puppet(language)

    async def ends(ctx: ProcessContext) -> None:
        seen.append((ctx.lookup("child"), stage.node.topology.links_of(ctx.pid)))

    seen: list[Any] = []
    options = {"monitor": True, "link": True}
    pid = await a.do("spawn", ends, "stage:host", "child", options)
    assert seen == [(pid, [a.pid])]
    assert await a.events() == [{"kind": EXIT, "from": pid}]


@pytest.mark.parametrize(
    ("target", "host", "error", "text"),
    [
        ("app:nothing", "stage:host", ProcessNotFound, "factory not found"),
        ("stage:puppet", "app:nowhere", ProcessNotFound, "host not found"),
    ],
)
async def test_spawn_of_unknown_things(
    stage: Stage, language: str, target: str, host: str, error: type[ProcessError], text: str
) -> None:
    """W3: unknown entry and unknown host are NOT_FOUND with their texts."""
    a = await stage.puppet(language)
    with pytest.raises(error, match=f"^{text}$"):
        await a.do("spawn", target, host, "", {})


async def test_failing_definition_fails_the_spawn(node: Node, host: Host) -> None:
    """E5, E6: an error while the code is prepared is the spawn's; no PID comes into being."""

    class Broken:
        id = "app:broken"

        def prepare(self, host: Host, args: tuple[Any, ...]) -> Any:
            raise ProcessNotFound('method "x" not found in module')

    with pytest.raises(ProcessNotFound, match=r'^method "x" not found in module$'):
        await host.spawn(Broken(), name="n")
    assert (len(node.processes), host.alive, node.names.by_name) == (0, 0, {})


async def test_sc21_child_inherits_context_actor_and_scope(stage: Stage, language: str) -> None:
    """SC21, W5, PY6, B9: context values are overlaid for the child, siblings see nothing."""
    a = await stage.puppet(language, context={"a": 1, "b": {"deep": [1]}})
    options = {"context": {"b": 2, "c": True}}
    child = stage.adopt(await a.do("spawn", "stage:puppet", "stage:host", "", options))
    plain = stage.adopt(await a.do("spawn", "stage:puppet", "stage:host", "", {}))
    assert await child.do("context") == {"a": 1, "b": 2, "c": True}
    assert await plain.do("context") == await a.do("context") == {"a": 1, "b": {"deep": [1]}}


async def test_context_is_copied_and_read_only(host: Host) -> None:
    """B1: values are copied, keys that are no text are ignored, the mapping is read-only."""

    async def body(ctx: ProcessContext) -> Any:
        with pytest.raises(TypeError):
            ctx.context["x"] = 1  # type: ignore[index]
        with pytest.raises(KeyError):
            ctx.context["missing"]
        await ctx.inbox.receive()
        return dict(ctx.context), ctx.actor, ctx.scope

    values: dict[Any, Any] = {"list": [1, (2, 3)], 5: "ignored"}
    pid = await host.spawn(body, context=values, actor="ann", scope=None)
    values["list"].append(4)
    host.node.send(pid, "go")
    assert (await host.node.wait(pid)).value == ({"list": [1, [2, 3]]}, "ann", None)


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, b"bytes", {"deep": [{2}]}],
    ids=["object", "int-key", "bytes", "nested-set"],
)
async def test_context_value_that_may_not_travel(host: Host, value: object) -> None:
    """B3: INVALID, naming the path; nothing is started."""
    with pytest.raises(ProcessInvalid, match=r"^context value k"):
        await host.spawn(idle, context={"k": value})
    assert host.alive == 0


async def test_first_messages_come_before_all_others(host: Host) -> None:
    """B7: in call order, before anything the caller sends later, without a sender."""

    async def body(ctx: ProcessContext) -> list[Message]:
        return [await ctx.inbox.receive() for _ in range(4)]

    pid = await host.spawn(body, messages=[("a", 1), ("b",), ("a", 2, 3)])
    host.node.send(pid, "late")
    assert (await host.node.wait(pid)).value == [
        Message("a", None, 1),
        Message("b", None, None),
        Message("a", None, [2, 3]),
        Message("late", None, None),
    ]


async def test_sc20_taken_name_starts_nothing(stage: Stage, language: str) -> None:
    """SC20, B6: ALREADY_EXISTS; no new process, no message anywhere."""
    a = await stage.puppet(language, name="taken")
    before = dict(stage.node.processes)
    options = {"messages": [["t", 1]], "monitor": True, "link": True}
    with pytest.raises(ProcessAlreadyExists, match=r"^name already registered$"):
        await a.do("spawn", "stage:puppet", "stage:host", "taken", options)
    assert stage.node.processes == before
    assert (await a.inbox(), await a.events()) == ([], [])


@pytest.mark.parametrize(
    "options", [{"name": ""}, {"messages": [("@x", 1)]}, {"context": {"k": object()}}]
)
async def test_refused_option_starts_nothing(host: Host, options: dict[str, Any]) -> None:
    """B3, W7: an empty name, a reserved topic, a bad context value: INVALID, nothing started."""

    async def body(ctx: ProcessContext) -> None:
        for spawn in (ctx.spawn, host.spawn):
            with pytest.raises(ProcessInvalid):
                await spawn(idle, **options)
        with pytest.raises(ProcessInvalid):
            host.spawn_soon(idle, **options)

    await host.node.call(body, host=host)
    assert await count_alive(host.node) == 0


async def test_host_defaults_to_the_callers(node: Node, host: Host) -> None:
    """§15 table: host defaults to the caller's; an id or a Host chooses another."""

    async def parent(ctx: ProcessContext) -> list[str]:
        places = [{}, {"host": "app:other"}, {"host": other}]
        return [await ctx.spawn(gives, **place) for place in places]

    async with node.open_host("app:other") as other:
        pids = await node.call(parent, host=host)
    assert [pid.partition("|")[0] for pid in pids] == ["{app:main", "{app:other", "{app:other"]


async def test_cancelled_spawn_has_started_nothing(host: Host) -> None:
    """PY7: in every form, also by Host.spawn."""

    async def body(ctx: ProcessContext) -> None:
        for spawn in (ctx.spawn, host.spawn):
            for ready in (False, True):
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await spawn(idle, ready=ready)
                assert scope.cancelled_caught

    await host.node.call(body, host=host)
    assert await count_alive(host.node) == 0


@pytest.mark.parametrize("how", ["denied", "fails", "works"])
async def test_async_methods_are_checkpoints_also_when_they_raise(host: Host, how: str) -> None:
    """PY1: spawn and call let others run, whatever becomes of them."""

    async def body(ctx: ProcessContext) -> None:
        target: Any = "app:none" if how == "fails" else gives
        for method in (ctx.spawn, ctx.call):
            with trio.testing.assert_checkpoints():
                try:
                    await method(target)
                except ProcessError:
                    assert how != "works"

    secured = {"actor": "a", "scope": "s"} if how == "denied" else {}
    pid = await host.spawn(body, **secured)
    (await host.node.wait(pid)).unwrap()


# -- readiness


async def test_ready_spawn_returns_when_the_child_says_so(host: Host) -> None:
    """PH5: `ctx.started()` releases the spawner; repeatable, harmless when nobody waits."""

    async def slow_start(ctx: ProcessContext) -> None:
        await trio.sleep(3)
        ctx.started("ready")
        ctx.started("again")
        await trio.sleep_forever()

    pid = await host.spawn(slow_start, ready=True)
    assert (trio.current_time(), pid in host.node.processes) == (3, True)
    await host.spawn(slow_start)


async def test_ready_spawn_raises_the_childs_error(host: Host) -> None:
    """PH5: an end that comes first is raised, an end without an error is UNAVAILABLE."""

    async def fails(ctx: ProcessContext) -> None:
        raise ProcessError("no", kind=ErrorKind.CONFLICT)

    with pytest.raises(ProcessConflict, match=r"^no$"):
        await host.spawn(fails, ready=True)
    with pytest.raises(ProcessUnavailable, match="ended before it was ready"):
        await host.spawn(gives, ready=True)
    assert host.alive == 0


async def test_cancelled_ready_spawn_leaves_nothing_behind(host: Host) -> None:
    """PH5: the child is gone when the cancelled spawn is, after its cleanup."""
    steps: list[str] = []

    async def never_ready(ctx: ProcessContext) -> None:
        try:
            await slow_to_end(1)
        finally:
            steps.append("cleaned")

    with trio.move_on_after(5) as scope:
        await host.spawn(never_ready, ready=True, name="n")
    assert (scope.cancelled_caught, steps, host.alive) == (True, ["cleaned"], 0)
    assert trio.current_time() == 6


async def test_ready_after_an_upgrade_counts(host: Host) -> None:
    """PH5, V6: readiness may be signalled by the code after an upgrade."""

    async def first(ctx: ProcessContext) -> None:
        await trio.sleep(1)
        await ctx.upgrade(second)

    async def second(ctx: ProcessContext) -> None:
        ctx.started()
        await trio.sleep_forever()

    await host.spawn(first, ready=True)
    assert trio.current_time() == 1


# -- call


@pytest.mark.parametrize("value", [5, None, False, [1, 2]], ids=repr)
async def test_sc22_call_gives_the_value(host: Host, value: object) -> None:
    """SC22, C1, C2: one value, None and False included."""

    async def body(ctx: ProcessContext) -> object:
        await trio.sleep(1)
        return value

    async def caller(ctx: ProcessContext) -> object:
        return await ctx.call(body)

    assert await host.node.call(caller, host=host) == value


async def test_sc22_call_raises_the_error(host: Host) -> None:
    """SC22, C3, PY12: the exit error with all its fields, a fresh exception of its kind's class."""
    raised = ProcessError("no", kind=ErrorKind.CONFLICT, retryable=True, details={"a": 1})

    async def body(ctx: ProcessContext) -> None:
        raise raised

    async def caller(ctx: ProcessContext) -> tuple[Any, ...]:
        with pytest.raises(ProcessConflict) as caught:
            await ctx.call(body)
        error = caught.value
        return (error is raised, str(error), error.retryable, error.details)

    assert await host.node.call(caller, host=host) == (False, "no", True, {"a": 1})


@pytest.mark.parametrize("how", ["cancelled", "terminated"])
async def test_sc22_call_that_is_given_up_leaves_the_process(host: Host, how: str) -> None:
    """SC22, C6, PY7: if the caller ends or is cancelled, the process goes on."""
    done: list[str] = []

    async def body(ctx: ProcessContext) -> None:
        await trio.sleep(10)
        done.append("went on")

    async def caller(ctx: ProcessContext) -> None:
        with trio.move_on_after(1 if how == "cancelled" else 100):
            await ctx.call(body)

    pid = await host.spawn(caller)
    await trio.sleep(2)
    if how == "terminated":
        host.node.terminate(pid)
    await host.join()
    assert done == ["went on"]


async def calls(ctx: ProcessContext, target: str, how: str) -> str:
    """Calls for ever, or gives up after a second."""
    with trio.move_on_after(1 if how == "gives up" else math.inf):
        await ctx.call(target, host="stage:host")
    return "gave up"


CALLS = {
    "python": calls,
    "lua": LuaTarget(
        Script(
            "stage:calls",
            """return function(target, how)
              if how ~= "gives up" then return process.call(target, "stage:host") end
              coroutine.spawn(function() process.call(target, "stage:host") end)
              time.sleep("1s")
              return "gave up"
            end""",
            modules=("time",),
        )
    ),
}
CALLERS_END = {
    "gives up": "gave up",
    "terminated": "process terminated",
    "deadline": "cancel deadline exceeded",
}


@pytest.mark.parametrize("how", CALLERS_END)
async def test_sc22_call_that_is_given_up_in_both_languages(
    stage: Stage, languages: tuple[str, str], how: str
) -> None:
    """SC22, C6, W6: however its caller ends, a called process goes on and is told nothing."""
    node = stage.node
    caller = await stage.host.spawn(CALLS[languages[0]], PUPPETS[languages[1]], how)
    await stage.settle()
    [called] = [pid for pid in node.processes if pid not in (caller, stage.manager)]
    if how == "terminated":
        node.terminate(caller)
    if how == "deadline":
        node.cancel(caller, 1)
    end = await node.wait(caller)
    assert (str(end.error) if end.error else end.value) == CALLERS_END[how]
    await trio.sleep(3600)
    callee = stage.adopt(called, languages[1])
    assert await callee.events() == []
    callee.tell("return", "went on")
    assert (await callee.ended()).unwrap() == "went on"


@pytest.mark.parametrize(
    ("target", "host_id", "text"),
    [
        ("", "app:main", "process ID required"),
        ("plain", "app:main", "invalid process ID format (namespace:name required)"),
        (":name", "app:main", "invalid process ID format (namespace:name required)"),
        ("app:x", "", "host ID required"),
    ],
)
async def test_malformed_call(host: Host, target: str, host_id: str, text: str) -> None:
    """C4: INVALID with the text of the missing part."""

    async def caller(ctx: ProcessContext) -> None:
        for call in (ctx.call, ctx.node.call):
            with pytest.raises(ProcessInvalid) as caught:
                await call(target, host=host_id)
            assert str(caught.value) == text

    await host.node.call(caller, host=host)


async def test_calls_run_in_parallel(host: Host) -> None:
    """C1: only the calling task waits."""

    async def slow(ctx: ProcessContext) -> None:
        await trio.sleep(10)

    async def caller(ctx: ProcessContext) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ctx.call, slow)

    await host.node.call(caller, host=host)
    assert trio.current_time() == 10


async def test_call_waits_through_an_upgrade(host: Host) -> None:
    """U6: a call gets the result of the new code."""

    async def counts(ctx: ProcessContext, n: Any) -> int:
        n = n or 0
        if n < 3:
            await ctx.upgrade(None, n + 1)
        return int(n)

    assert await host.node.call(counts, host=host) == 3
