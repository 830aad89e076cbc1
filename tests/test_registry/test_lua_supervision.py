"""Lua children, and the Lua module `supervision` (SU3, SU10, SU20-SU23)."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from lua_bridge import DEFAULT_LIMITS, LuaTarget, Script
from supervision import Supervisor, SupervisorRef, child
from trio_actors import Host, ProcessContext, ProcessNotFound, open_node

WORKER = """
local function main(name)
  local events, inbox = process.events(), process.inbox()
  process.registry.register(name)
  time.sleep("1s")
  process.started()
  local got = channel.select { events:case_receive(), inbox:case_receive() }
  if got.channel == inbox then error("told to fail") end
end
return { main = main }
"""


class Code:
    """Scripts by registry id."""

    def __init__(self) -> None:
        self.targets: dict[str, Any] = {}

    def add(self, id: str, source: str, *modules: str) -> None:
        script = Script(id, source, id.replace(":", "/") + ".lua", modules, {})
        self.targets[id] = LuaTarget(script, "main", DEFAULT_LIMITS)

    def find(self, id: str) -> Any:
        return self.targets.get(id)


@asynccontextmanager
async def lua_host() -> AsyncIterator[tuple[Host, Code]]:
    code = Code()
    code.add("app:worker", WORKER, "time")
    async with open_node() as node:
        node.add_source(code)
        async with node.open_host("app:h") as host:
            yield host, code


async def test_lua_children_start_restart_and_stop_like_others(autojump_clock: MockClock) -> None:
    """SU3: ready when `process.started()` was called; SU10: a script error is abnormal."""
    tree = Supervisor(
        strategy="rest_for_one",
        children=[child(id, "app:worker", id, ready=True, restart="transient") for id in "ab"],
    )
    async with lua_host() as (host, _):
        begin = trio.current_time()
        ref = SupervisorRef(host.node, await host.spawn(tree, ready=True))
        assert trio.current_time() - begin == 2
        first = [info.pid for info in ref.which_children()]
        host.node.send("a", "fail")
        await trio.sleep(5)
        assert [info.state for info in ref.which_children()] == ["running", "running"]
        assert not {info.pid for info in ref.which_children()} & set(first)
        begin = trio.current_time()
    assert trio.current_time() == begin  # both returned on CANCEL


ADMIN = """
local function main(sup)
  local out = {}
  local pid, err = supervision.start_child(sup, {id = "c", process = "app:worker", args = {"c"},
                                                  ready = true, shutdown = 500})
  out.started = process.registry.lookup("c") == pid
  local _, again = supervision.start_child(sup, {id = "c", process = "app:worker"})
  out.again = again:kind()
  local _, wrong = supervision.start_child(sup, {id = "", process = "nocolon"})
  out.wrong = tostring(wrong)
  out.busy = select(2, supervision.delete_child(sup, "c")):kind()
  out.terminated = supervision.terminate_child(sup, "c")
  out.restarted = supervision.restart_child(sup, "c") == process.registry.lookup("c")
  supervision.terminate_child(sup, "c")
  out.deleted = supervision.delete_child(sup, "c")
  out.count = supervision.count_children(sup).active
  out.children = {}
  for _, info in ipairs(supervision.which_children(sup)) do
    out.children[#out.children + 1] = info.id .. " " .. info.state .. " " .. info.restart
  end
  out.missing = select(2, supervision.get_child(sup, "zzz")):kind()
  out.stranger = tostring(select(2, supervision.which_children(process.pid())))
  out.pid = process.pid()
  out.updated = supervision.update(sup, {intensity = 7, children = {}})
  return out
end
return { main = main }
"""


async def test_scripts_administer_supervisors(autojump_clock: MockClock) -> None:
    """SU20-SU22: the same answers as in Python."""
    async with lua_host() as (host, code):
        code.add("app:admin", ADMIN, "supervision")
        tree = Supervisor(children=[child("a", "app:worker", "a")])
        pid = await host.spawn(tree, ready=True)
        await wait_all_tasks_blocked()
        out = await host.node.call("app:admin", pid, host=host)
        admin = out.pop("pid")
        assert out == {
            "started": True,
            "again": "AlreadyExists",
            "wrong": "id: expected a text that is not empty, found ''\n"
            "process: expected a process id, namespace:name, found 'nocolon'",
            "busy": "Conflict",
            "terminated": True,
            "restarted": True,
            "deleted": True,
            "count": 1,
            "children": ["a running permanent"],
            "missing": "NotFound",
            "stranger": f"{admin} is not a supervisor",
            "updated": True,
        }


async def test_scripts_start_dynamic_children(autojump_clock: MockClock) -> None:
    """SU23: arguments are appended to the template's; children are addressed by PID."""
    source = """
    local function main(sup)
      local one = supervision.start_child(sup, "one")
      local two = supervision.start_child(sup, "two")
      supervision.terminate_child(sup, one)
      return supervision.which_children(sup)[1].pid == two
    end
    return { main = main }
    """
    async with lua_host() as (host, code):
        code.add("app:admin", source, "supervision")
        template = child("t", "app:worker", restart="temporary", ready=True)
        tree = Supervisor(strategy="simple_one_for_one", children=[template])
        pid = await host.spawn(tree, ready=True)
        assert await host.node.call("app:admin", pid, host=host) is True
        try:
            host.node.lookup("one")
        except ProcessNotFound:
            assert host.node.lookup("two")


async def test_a_crash_is_one_error_record(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """SU40: of a script with its stack, of Python code with its traceback, and no second one."""

    async def fails(ctx: ProcessContext) -> None:
        raise ValueError("python is broken")

    async with lua_host() as (host, code):
        code.add("app:broken", 'return { main = function() error("lua is broken") end }')
        once = {"restart": "temporary"}
        tree = Supervisor(children=[child("l", "app:broken", **once), child("p", fails, **once)])
        await host.spawn(tree, ready=True)
        await wait_all_tasks_blocked()
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    lua, python = sorted(errors, key=lambda record: "python" in record.getMessage())
    assert "lua is broken" in lua.getMessage()
    assert "stack traceback" in lua.getMessage() or "broken.lua" in lua.getMessage()
    assert python.exc_info is not None


SHUTDOWN = """
local function leave(how)
  if how == "pcall" then
    local ok, err = pcall(supervision.shutdown, "enough")
    return tostring(err)
  end
  supervision.shutdown(how)
end
return { main = function()
  local how = process.listen("leave"):receive()
  return leave(how ~= "" and how or nil)
end }
"""


@pytest.mark.parametrize("how", ["", "enough", "pcall"])
async def test_a_script_ends_by_shutdown(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """SU10, SU40: it was asked for: a transient child is not restarted, nobody is alarmed."""
    async with lua_host() as (host, code):
        code.add("app:leaves", SHUTDOWN, "supervision")
        children = [
            child("t", "app:leaves", restart="transient"),
            child("p", "app:leaves"),
        ]
        ref = SupervisorRef(host.node, await host.spawn(Supervisor(children=children), ready=True))
        await wait_all_tasks_blocked()
        first = {info.id: str(info.pid) for info in ref.which_children()}
        for pid in first.values():
            host.node.send(pid, "leave", how)
        await wait_all_tasks_blocked()
        assert {info.id: info.state for info in ref.which_children()} == {
            "t": "stopped",
            "p": "running",
        }
        exit = await host.node.wait(first["t"])
        expected = {"": (True, "shutdown"), "enough": (True, "shutdown: enough")}
        if how == "pcall":
            assert (exit.shutdown, exit.unwrap()) == (False, "shutdown: enough")
        else:
            assert (exit.shutdown, str(exit.error)) == expected[how]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_lua_children_stop_in_order_three_deep(autojump_clock: MockClock) -> None:
    """SU5, SU7: polite ones return, one that computes for ever is ended at its limit."""
    stops: list[str] = []

    async def note(ctx: ProcessContext) -> None:
        ctx.register("notes")
        async for message in ctx.listen("stop"):
            stops.append(str(message))

    polite = """
    return { main = function(name)
      process.events():receive()
      process.send("notes", "stop", name)
    end }
    """
    deaf = """
    return { main = function()
      while true do time.sleep("1h") end
    end }
    """
    async with lua_host() as (host, code):
        code.add("app:polite", polite)
        code.add("app:deaf", deaf, "time")
        await host.spawn(note)

        def leaf(name: str) -> object:
            return child(name, "app:polite", name)

        low = Supervisor(children=[leaf("c"), child("deaf", "app:deaf", shutdown=2), leaf("d")])
        middle = Supervisor(children=[leaf("b"), child("low", low), leaf("e")])
        top = Supervisor(children=[leaf("a"), child("middle", middle), leaf("f")])
        pid = await host.spawn(top, ready=True)
        await wait_all_tasks_blocked()
        begin = trio.current_time()
        host.node.cancel(pid)
        assert (await host.node.wait(pid)).error is None
        assert trio.current_time() - begin == 2
        await wait_all_tasks_blocked()
        assert stops == ["f", "e", "d", "c", "b", "a"]
