"""Upgrades in both languages: what arrives meanwhile, and what the new code gets (U1, U3)."""

from typing import Any

import pytest
import trio
import trio.testing

import trio_actors
from trio_actors import Message, ProcessContext, Server, funcs, handles
from trio_actors.functions import PythonCallee, open_functions


@pytest.mark.parametrize(("state", "got"), [(6, [6]), (None, []), ([1, 2], [[1, 2]])])
async def test_a_script_gets_the_state_of_the_server_before_it(
    autojump_clock: Any, world: Any, state: Any, got: list[Any]
) -> None:
    """U1: the state itself is its argument; None is none."""

    class Old(Server):
        @handles("go")
        def go(self, message: Message) -> None:
            self.upgrade("app:new", state)

    world.lua("app:new", "return function(...) return {select('#', ...), ...} end")
    pid = await world.host.spawn(Old)
    world.node.send(pid, "go")
    assert (await world.node.wait(pid)).value == [len(got), *got]


@pytest.mark.parametrize("language", ["python", "lua"])
async def test_what_comes_while_an_upgrade_unwinds_is_unread_afterwards(
    autojump_clock: Any, world: Any, language: str
) -> None:
    """U3, PY11: messages of Python and of scripts, and events; the age is known all the time."""

    async def slow() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(3)

    async def old(ctx: ProcessContext) -> None:
        async def call() -> None:
            await funcs.call("app:slow")

        ctx.start_task(call)
        await ctx.listen("go").receive()
        await ctx.upgrade("app:new")

    lua = world.lua(
        "app:old",
        """return function()
          coroutine.spawn(function() funcs.call("app:slow") end)
          process.listen("go"):receive()
          process.upgrade("app:new")
        end""",
        modules=("funcs",),
    )
    world.lua(
        "app:new",
        """return function()
          local inbox, found = process.inbox(), {}
          for i = 1, 4 do found[i] = inbox:receive():payload() end
          found[5] = process.events():receive().kind
          return found
        end""",
    )
    sender = world.lua("app:sender", "return function(to) process.send(to, 'n', {2}) end")
    async with open_functions(world.node) as functions:
        functions.install("app:slow", PythonCallee(slow))
        pid = await world.host.spawn(lua if language == "lua" else old)
        await trio.testing.wait_all_tasks_blocked()
        world.node.send(pid, "n", 0)
        world.node.send(pid, "go")
        await trio.sleep(1)
        world.node.send(pid, "n", [1])
        world.node.cancel(pid)
        await world.node.call(sender, pid, host=world.host)
        await trio.sleep(1)
        view = trio_actors.sys.view(world.node, pid)
        assert (view.state, view.mailbox, view.oldest_unread) == ("blocked", 4, 2.0)
        await trio.sleep(2)
        world.node.send(pid, "n", 3)
        assert (await world.node.wait(pid)).unwrap() == [0, [1], [2], 3, "pid.cancel"]
