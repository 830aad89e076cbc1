"""Lua processes, supervisors and whole applications take part (TS20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from registry import open_app
from registry.cli import main
from supervision import Supervisor, child
from trio_actors import ProcessContext
from trio_actors.testing import (
    NO_FAULTS,
    Faults,
    ScheduleFailure,
    Sim,
    explore,
)
from trio_actors.testing.application import explore_application
from trio_actors.testing.explore import settings

APPLICATION = """
namespace: shop
entries:
  - name: processes
    kind: process.host
    lifecycle: {auto_start: true}
  - name: stock
    kind: process.lua
    modules: [time]
    source: |
      local left = 1
      return { main = function()
        process.registry.register("stock")
        local inbox = process.inbox()
        while true do
          local msg, ok = inbox:receive()
          if not ok then return end
          if msg:topic() == "left?" then
            process.send(msg:from(), "left", left)
          elseif msg:topic() == "sell" then
            left = left - 1
            if left < 0 then error("oversold") end
          end
        end
      end }
  - name: stock_service
    kind: process.service
    process: stock
    host: processes
    lifecycle: {auto_start: true}
  - name: clerk
    kind: process.lua
    source: |
      return { main = function(colleague)
        local turn, answer = process.listen("your turn"), process.listen("left")
        turn:receive()
        process.send("stock", "left?")
        if answer:receive() > 0 then process.send("stock", "sell") end
        if colleague then process.send(colleague, "your turn") end
      end }
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The application of the tutorial's race, in Lua."""
    monkeypatch.setattr(settings, "directory", tmp_path / "report")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "_index.yaml").write_text(APPLICATION)
    return folder


def test_a_race_between_lua_processes_is_found(shop: Path) -> None:
    """TS20: each Lua process is an actor, its messages pass the same `post`."""

    @explore(report=("text",))
    async def test(sim: Sim) -> None:
        async with open_app(shop) as app:
            ben = await app.spawn("shop:clerk", "shop:processes")
            ada = await app.spawn("shop:clerk", "shop:processes", ben)
            await sim.run_for(0.1)
            stock = app.node.lookup("stock")
            app.node.send(ada, "your turn")
            await sim.run_for(0.1)
            assert stock in app.node.processes, "the stock has failed"

    with pytest.raises(ScheduleFailure) as caught:
        test()
    assert "clerk" in caught.value.token
    assert "+" in caught.value.token
    with pytest.raises(ScheduleFailure):
        explore(replay=caught.value.token, report=("text",))(_again(shop))()


def _again(shop: Path) -> Any:
    async def test(sim: Sim) -> None:
        async with open_app(shop) as app:
            ben = await app.spawn("shop:clerk", "shop:processes")
            ada = await app.spawn("shop:clerk", "shop:processes", ben)
            await sim.run_for(0.1)
            stock = app.node.lookup("stock")
            app.node.send(ada, "your turn")
            await sim.run_for(0.1)
            assert stock in app.node.processes

    return test


def test_a_whole_application_is_explored(shop: Path) -> None:
    """The smoke test that needs nothing but YAML."""
    explored = explore_application(
        lambda: open_app(shop), schedules=20, seconds=1, faults=NO_FAULTS, name="shop"
    )
    assert explored.runs == 20


def test_the_command_explores_an_application(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`trio-actors explore APP`: 0 and one line; 2 for a wrong token."""
    arguments = ["explore", str(shop), "--schedules", "5", "--seconds", "1"]
    assert main(arguments) == 0
    assert "shop: passed: 5 schedules" in capsys.readouterr().out
    assert main([*arguments, "--replay", "nonsense"]) == 2
    assert "cannot read 'nonsense'" in capsys.readouterr().err


@explore(schedules=40, faults=Faults(kill=0.1, only=("*/steady*",)))
async def test_a_supervisor_under_kills(sim: Sim) -> None:
    """Children that are killed come back; the tree stops with the test."""

    async def steady(ctx: ProcessContext) -> None:
        async for message in ctx.inbox:
            ctx.send(message.payload, "pong")

    async def pinger(ctx: ProcessContext) -> None:
        for _ in range(6):
            await trio.sleep(1)
            for name in ("a", "b"):
                try:
                    ctx.send(name, "ping", ctx.pid)
                except Exception:
                    continue

    async def named(ctx: ProcessContext, name: str) -> None:
        ctx.register(name)
        await steady(ctx)

    tree = Supervisor(
        strategy="one_for_all",
        intensity=20,
        period=60,
        children=[child("a", named, "a"), child("b", named, "b")],
    )
    await sim.spawn(tree, name="sup")
    await sim.spawn(pinger)
    await sim.run_for(10)
    assert "sup" in sim.node.names.by_name
    assert {"a", "b"} <= set(sim.node.names.by_name)
