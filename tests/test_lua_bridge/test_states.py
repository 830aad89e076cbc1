"""What a process does now: `running`, `idle` or `blocked`, in both languages (§1.4)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import trio_actors
from lua_bridge import Limits, LuaTarget, Script
from trio_actors import Host, ProcessContext, Server, handles

IDLE = {
    "its inbox": "process.inbox():receive()",
    "events": "process.events():receive()",
    "a topic": 'process.listen("t"):receive()',
    "a select with a timer": """
        local timer = time.timer("1h")
        channel.select{process.inbox():case_receive(), timer:response():case_receive()}""",
    "another coroutine": """
        local inbox = process.inbox()
        coroutine.spawn(function() inbox:receive() end)
        time.sleep("1h")""",
    "a coroutine of its own": """
        local inbox = process.inbox()
        coroutine.wrap(function() inbox:receive() end)()""",
}
BLOCKED = {
    "a timer": 'time.sleep("1h")',
    "a channel": "process.inbox() channel.new():receive()",
    "a channel that takes": "process.inbox() channel.new():send(1)",
    "a select of timers": 'channel.select{time.timer("1h"):response():case_receive()}',
    "an end": 'process.call("t:sleeps", "app:main")',
    "a coroutine's timer": 'process.inbox() coroutine.wrap(function() time.sleep("1h") end)()',
    "a closed inbox": """
        local inbox, own = process.inbox(), channel.new()
        inbox:close()
        coroutine.spawn(function() time.sleep("1h") end)
        own:receive()""",
}


@pytest.fixture
async def host(node: trio_actors.Node) -> Any:
    """A host with a script that sleeps."""

    class Sleeper:
        def find(self, id: str) -> Any:
            return script('time.sleep("1h")') if id == "t:sleeps" else None

    node.add_source(Sleeper())
    async with node.open_host("app:main", drain=0) as opened:
        yield opened


def script(body: str, **limits: Any) -> LuaTarget:
    source = f"return function(...)\n{body}\nend"
    return LuaTarget(Script("t:script", source, modules=("time", "funcs")), limits=Limits(**limits))


def state(host: Host, pid: str) -> str:
    """All views of it say the same."""
    found = trio_actors.sys.view(host.node, pid).state
    assert f"{pid} {host.node.processes[pid].id}: {found}, up " in trio_actors.sys.dump(host.node)
    assert found in host.statistics().by_state
    return found


@pytest.mark.parametrize("what", IDLE)
async def test_who_waits_for_messages_is_idle(host: Host, what: str) -> None:
    """§1.4: whatever it waits for besides, as in Python."""
    pid = await host.spawn(script(IDLE[what]))
    await trio.testing.wait_all_tasks_blocked()
    assert state(host, pid) == "idle"


@pytest.mark.parametrize("what", BLOCKED)
async def test_who_waits_for_something_else_is_blocked(host: Host, what: str) -> None:
    """§1.4: a timer, an end, a channel of its own; unread messages change nothing."""
    pid = await host.spawn(script(BLOCKED[what]))
    await trio.testing.wait_all_tasks_blocked()
    assert state(host, pid) == "blocked"
    host.node.send(pid, "n", 1)
    await trio.testing.wait_all_tasks_blocked()
    assert state(host, pid) == "blocked"


@pytest.mark.parametrize("language", ["python", "lua"])
async def test_the_states_of_one_life(host: Host, language: str) -> None:
    """§1.4: idle, running once there is something to do, blocked, idle again."""

    class Sleeps(Server):
        @handles("n")
        async def sleep(self, message: trio_actors.Message) -> None:
            await trio.sleep(2)

    lua = script("for m in process.inbox().receive, process.inbox() do time.sleep('2s') end")
    pid = await host.spawn(Sleeps if language == "python" else lua)
    await trio.testing.wait_all_tasks_blocked()
    seen = [state(host, pid)]
    host.node.send(pid, "n")
    seen.append(state(host, pid))
    await trio.sleep(1)
    seen.append(state(host, pid))
    await trio.sleep(2)
    seen.append(state(host, pid))
    assert seen == ["idle", "running", "blocked", "idle"]


async def test_a_script_that_computes_is_running(host: Host) -> None:
    """§1.4, TM8: between two of its slices; its neighbours are what they are."""
    lazy = await host.spawn(script("process.inbox():receive()"))
    await trio.testing.wait_all_tasks_blocked()
    busy = await host.spawn(script("while true do end", instructions=1 << 40))
    for _ in range(5):
        await trio.lowlevel.checkpoint()
        assert (state(host, busy), state(host, lazy)) == ("running", "idle")
    host.node.terminate(busy)
    assert await host.node.wait(busy)


async def test_a_script_that_computes_in_a_thread_is_running(open_world: Any) -> None:
    """§1.4, Z4: seen from the Trio thread while the slice lasts."""
    async with open_world(workers=2) as world:
        busy = await world.host.spawn(script("while true do end", instructions=1 << 40))
        lazy = await world.host.spawn(script("process.inbox():receive()"))
        body = world.node.processes[busy].drive.body
        for _ in range(3):
            while not body.shard.busy:
                await trio.lowlevel.checkpoint()
            assert trio_actors.sys.view(world.node, busy).state == "running"
        with trio.fail_after(5):
            while trio_actors.sys.view(world.node, lazy).state != "idle":
                await trio.lowlevel.checkpoint()
        world.node.terminate(busy)
        await world.node.wait(busy)


async def test_a_look_takes_nothing_out_of_a_thread_s_queue(open_world: Any) -> None:
    """M12, Z4: else it could overtake what the thread has taken just before."""
    async with open_world(workers=2) as world:
        pid = await world.host.spawn(script("process.inbox() time.sleep('1h')"))
        shard = world.node.processes[pid].drive.body.shard
        while shard.busy or shard.queue:
            await trio.lowlevel.checkpoint()
        shard.busy = True  # as if a thread were at it, between two calls
        world.node.send(pid, "n", 1)
        assert trio_actors.sys.view(world.node, pid).mailbox == 0
        assert len(shard.queue) == 1
        shard.busy = False
        assert trio_actors.sys.view(world.node, pid).mailbox == 1


async def sleeps(ctx: ProcessContext) -> None:
    await trio.sleep_forever()


async def calls(ctx: ProcessContext) -> None:
    await ctx.call(sleeps)


async def waits(ctx: ProcessContext) -> None:
    await ctx.inbox.receive()


@pytest.mark.parametrize(
    ("code", "expected"), [(sleeps, "blocked"), (calls, "blocked"), (waits, "idle")]
)
async def test_python_code_in_the_same_places(host: Host, code: Any, expected: str) -> None:
    """§1.4: the other language."""
    pid = await host.spawn(code)
    await trio.testing.wait_all_tasks_blocked()
    assert state(host, pid) == expected
