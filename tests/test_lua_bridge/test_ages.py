"""For how long messages of scripts are unread, and of Python code in the same scenarios (PH8)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import trio_actors
from lua_bridge import Limits, LuaTarget, Script
from trio_actors import Bounded, Host, Message, ProcessContext, Server, handles
from trio_actors._core.node import Gate


def script(source: str, **limits: Any) -> LuaTarget:
    return LuaTarget(Script("t:script", source, modules=("time",)), limits=Limits(**limits))


async def reader(ctx: ProcessContext) -> None:
    """Reads one message for each `go`, of the topic `side` if that is its payload."""
    go, side, inbox = ctx.listen("go"), ctx.listen("side"), None
    while True:
        wanted = await go.receive()
        if wanted == "stop":
            side.close()
        elif wanted == "side":
            await side.receive()
        else:
            inbox = inbox or ctx.inbox
            await inbox.receive()


LUA_READER = script(
    """return function()
      local go, side, inbox = process.listen("go"), process.listen("side"), nil
      while true do
        local wanted = go:receive()
        if wanted == "stop" then process.unlisten(side)
        elseif wanted == "side" then side:receive()
        else
          inbox = inbox or process.inbox()
          inbox:receive()
        end
      end
    end"""
)
READERS: dict[str, Any] = {"python": reader, "lua": LUA_READER}

LUA_SENDER = "return function(...) process.send(...) end"


async def python_sender(ctx: ProcessContext, whom: str, topic: str, payload: Any) -> None:
    ctx.send(whom, topic, payload)


SENDERS: dict[str, Any] = {
    "node": None,
    "python": python_sender,
    "same state": script(LUA_SENDER),
    "other state": script(LUA_SENDER, isolated=True),
}


async def send(host: Host, how: str, whom: str, topic: str, payload: Any = 1) -> None:
    """Sends, and returns when nothing moves any more."""
    if SENDERS[how] is None:
        host.node.send(whom, topic, payload)
    else:
        await host.node.call(SENDERS[how], whom, topic, payload, host=host)
    await trio.testing.wait_all_tasks_blocked()


def age(host: Host, pid: str) -> float:
    """Of the oldest unread message; every view of it says the same."""
    found = trio_actors.sys.view(host.node, pid).oldest_unread
    of_node = host.node.statistics()
    if len(host.node.processes) == 1:
        assert host.statistics().oldest_unread == of_node.oldest_unread == found
        assert (f", the oldest for {found:.1f} s;" in trio_actors.sys.dump(host.node)) is (
            found > 0
        )
    return found


@pytest.mark.parametrize("language", READERS)
@pytest.mark.parametrize("how", SENDERS)
async def test_the_age_is_that_of_the_oldest_message_that_is_left(
    host: Host, language: str, how: str
) -> None:
    """PH8: whoever sends; the inbox is opened late, a part is read, then all of it."""
    pid = await host.spawn(READERS[language])
    assert age(host, pid) == 0.0
    await trio.sleep(1)
    await send(host, how, pid, "a")
    await trio.sleep(2)
    await send(host, how, pid, "b")
    await trio.sleep(4)
    assert age(host, pid) == 6.0
    assert trio_actors.sys.view(host.node, pid).mailbox == 2
    await send(host, how, pid, "go", "inbox")
    assert age(host, pid) == 4.0
    await trio.sleep(1)
    await send(host, how, pid, "c")
    assert age(host, pid) == 5.0
    await send(host, how, pid, "go", "inbox")
    assert age(host, pid) == 0.0
    await trio.sleep(8)
    assert age(host, pid) == 8.0
    await send(host, how, pid, "go", "inbox")
    await trio.sleep(1)
    assert age(host, pid) == 0.0


@pytest.mark.parametrize("language", READERS)
@pytest.mark.parametrize("how", SENDERS)
async def test_channels_of_topics_count_until_they_close(
    host: Host, language: str, how: str
) -> None:
    """PH8, L10: the oldest of all channels; what a closed one still holds is not in the mailbox."""
    pid = await host.spawn(READERS[language])
    await trio.sleep(1)
    await send(host, how, pid, "side")
    await trio.sleep(1)
    await send(host, how, pid, "a")
    await trio.sleep(1)
    await send(host, how, pid, "side")
    await trio.sleep(1)
    assert age(host, pid) == 3.0
    await send(host, how, pid, "go", "side")
    assert age(host, pid) == 2.0
    await send(host, how, pid, "go", "inbox")
    assert age(host, pid) == 1.0
    await send(host, how, pid, "go", "stop")
    assert age(host, pid) == 0.0


@pytest.mark.parametrize("language", READERS)
async def test_events_have_no_age(host: Host, language: str) -> None:
    """PH8: only messages do."""
    pid = await host.spawn(READERS[language])
    await trio.testing.wait_all_tasks_blocked()
    host.node.cancel(pid)
    await trio.sleep(1)
    assert trio_actors.sys.view(host.node, pid).mailbox == 1
    assert age(host, pid) == 0.0


async def test_messages_to_oneself_and_in_one_step_have_an_age(host: Host) -> None:
    """PH8: many at once are as old as the turn in which they were sent."""
    pid = await host.spawn(
        script(
            """return function()
              time.sleep("2s")
              for i = 1, 1000 do process.send(process.pid(), "n", i) end
              time.sleep("3s")
              local inbox = process.inbox()
              for i = 1, 999 do inbox:receive() end
              process.listen("other"):receive()
            end"""
        )
    )
    await trio.sleep(4)
    assert age(host, pid) == 2.0
    await trio.sleep(2)
    assert age(host, pid) == pytest.approx(4.0, abs=1e-5)
    assert trio_actors.sys.view(host.node, pid).mailbox == 1


async def test_what_a_select_has_taken_is_not_unread(host: Host) -> None:
    """PH8: whoever waits in a select gets it at once."""
    pid = await host.spawn(
        script(
            """return function()
              local inbox = process.inbox()
              local other = process.listen("other")
              while true do channel.select{inbox:case_receive(), other:case_receive()} end
            end"""
        )
    )
    await trio.testing.wait_all_tasks_blocked()
    host.node.send(pid, "a")
    await trio.sleep(1)
    assert (age(host, pid), trio_actors.sys.view(host.node, pid).mailbox) == (0.0, 0)


class Awaiting(Server):
    """Takes a hundred seconds for each message."""

    @handles("first")
    async def first(self, message: Message) -> None:
        await trio.sleep(100)


async def waiting(ctx: ProcessContext) -> None:
    await ctx.listen("never").receive()


async def upgrading(ctx: ProcessContext, *after: str) -> None:
    await ctx.listen("upgrade").receive()
    await ctx.upgrade(after[0], *after[1:])


LUA_UPGRADING = """return function(next, ...)
  process.listen("upgrade"):receive()
  process.upgrade(next, ...)
end"""


class Code:
    """A source of code by id."""

    def __init__(self, **targets: Any) -> None:
        self.targets = targets

    def find(self, id: str) -> Any:
        return self.targets.get(id)


@pytest.mark.parametrize("last", ["lua", "python", "server"])
@pytest.mark.parametrize("second", ["lua", "other state", "python"])
@pytest.mark.parametrize("first", ["lua", "python"])
async def test_an_upgrade_makes_no_message_younger(
    host: Host, first: str, second: str, last: str
) -> None:
    """PH8, U3: nor two of them, from and to each language."""
    codes: dict[str, Any] = {
        "lua": script(LUA_UPGRADING),
        "other state": script(LUA_UPGRADING, isolated=True),
        "python": upgrading,
    }
    ends = {
        "lua": script('return function() process.listen("never"):receive() end'),
        "python": waiting,
        "server": Awaiting,
    }
    ids = {f"c{n}": codes[name] for n, name in enumerate((first, second))}
    ids["end"] = ends[last]
    host.node.add_source(Code(**{id: host.node.resolve_target(c) for id, c in ids.items()}))
    pid = await host.spawn(codes[first], "c1", "end")
    await trio.sleep(1)
    for topic in ("first", "second", "third"):
        host.node.send(pid, topic)
        await trio.sleep(1)
    for expected in (4.0, 5.0):
        await trio.sleep(1)
        host.node.send(pid, "upgrade")
        await trio.testing.wait_all_tasks_blocked()
        assert age(host, pid) == (expected if expected == 4.0 or last != "server" else 4.0)
    host.node.send(pid, "fourth")
    await trio.sleep(2)
    view = trio_actors.sys.view(host.node, pid)
    assert view.mailbox == (3 if last == "server" else 4)
    assert age(host, pid) == (6.0 if last == "server" else 7.0)


@pytest.mark.parametrize("overflow", ["drop_new", "drop_old"])
async def test_a_limited_mailbox_that_becomes_that_of_a_script(host: Host, overflow: Any) -> None:
    """PH8: the ages are of what was left."""
    pid = await host.spawn(upgrading, "late", mailbox=Bounded(2, overflow=overflow))
    host.node.add_source(
        Code(late=script('return function() process.inbox() time.sleep("1h") end'))
    )
    await trio.testing.wait_all_tasks_blocked()
    for n in range(3):
        host.node.send(pid, "n", n)
        await trio.sleep(1)
    assert age(host, pid) == (3.0 if overflow == "drop_new" else 2.0)
    if overflow == "drop_old":
        host.node.send(pid, "upgrade")
        await trio.testing.wait_all_tasks_blocked()
        assert age(host, pid) == 1.0


class Late(Gate):
    """A gate that delivers when it is told to."""

    def __init__(self) -> None:
        self.held: list[tuple[trio_actors.Process, Any]] = []

    def post(self, source: object, target: trio_actors.Process, item: Any) -> None:
        self.held.append((target, item))

    def deliver(self) -> None:
        for target, item in self.held:
            target.deliver(item)
        self.held.clear()


@pytest.mark.parametrize("language", READERS)
async def test_ages_behind_a_gate_begin_with_the_delivery(host: Host, language: str) -> None:
    """PH8, TS1: in a simulation, where each turn of a script is one step."""
    pid = await host.spawn(READERS[language])
    await trio.testing.wait_all_tasks_blocked()
    gate = Late()
    host.node.install(gate)
    for expected in (2.0, 9.0):
        host.node.send(pid, "a")
        await trio.sleep(5)
        gate.deliver()
        await trio.sleep(2)
        assert age(host, pid) == expected
    host.node.install(None)


@pytest.mark.parametrize("workers", [1, 2])
async def test_ages_of_real_time(open_world: Any, workers: int) -> None:
    """PH8, Z4: by the stamp of the node, also where worker threads step the scripts."""
    async with open_world(workers=workers) as world:
        node = world.node
        pid = await world.host.spawn(LUA_READER)
        before = node.stamp()
        await node.call(script(LUA_SENDER), pid, "a", 1, host=world.host)
        while not trio_actors.sys.view(node, pid).mailbox:
            await trio.lowlevel.checkpoint()
        after = node.stamp()
        since = node.processes[pid].mailbox.unread_since()
        assert before - 1e-6 <= since <= after + 1e-6
        first = trio_actors.sys.view(node, pid).oldest_unread
        second = trio_actors.sys.view(node, pid).oldest_unread
        assert 0 <= first < second < 60
