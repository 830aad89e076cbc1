"""Lua processes, supervisors and whole applications take part (TS20)."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from shop import APPLICATION

from property_tests.mutants import Mutant
from registry import open_app
from registry.cli import main
from registry.cli.exploring import SERVES, Progress
from supervision import Supervisor, child
from trio_actors import ProcessContext
from trio_actors.testing import (
    NO_FAULTS,
    Faults,
    ScheduleFailure,
    Sim,
    explore,
)
from trio_actors.testing.application import CHECKED, explore_application
from trio_actors.testing.explore import settings


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

    with pytest.raises(ScheduleFailure) as caught:
        explore(report=("text",))(_race(shop))()
    assert "clerk" in caught.value.token
    assert "+" in caught.value.token
    with pytest.raises(ScheduleFailure):
        explore(replay=caught.value.token, report=("text",))(_race(shop))()


def _race(shop: Path) -> Any:
    async def test(sim: Sim) -> None:
        async with open_app(shop) as app:
            ben = await app.spawn("shop:clerk", "shop:processes")
            ada = await app.spawn("shop:clerk", "shop:processes", ben)
            await sim.run_for(0.1)
            stock = app.node.lookup("stock")
            app.node.send(ada, "your turn")
            await sim.run_for(0.1)
            assert stock in app.node.processes, "the stock has failed"

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
    captured = capsys.readouterr()
    assert re.fullmatch(
        r"shop: passed: 5 schedules, 55 s of virtual time in [\d.]+ s\n", captured.out
    )
    assert captured.err.startswith("shop: 5 runs of 1 virtual seconds, kills 3.0%")
    assert main([*arguments, "--replay", "nonsense"]) == 2
    assert "cannot read 'nonsense'" in capsys.readouterr().err


IN_A_HURRY = """
namespace: shop
entries:
  - {name: processes, kind: process.host, lifecycle: {auto_start: true}}
  - name: stock
    kind: process.lua
    source: |
      return { main = function()
        process.registry.register("stock")
        process.events():receive()
      end }
  - name: clerk
    kind: process.lua
    source: |
      return { main = function()
        assert(process.registry.lookup("stock"), "no stock")
        process.events():receive()
      end }
  - name: a_stock
    kind: process.service
    process: stock
    host: processes
    lifecycle: {auto_start: true}
  - name: b_clerk
    kind: process.service
    process: clerk
    host: processes
    lifecycle: {auto_start: true, restart: {max_attempts: 1}}
"""

REPORT = """\
hurry fails: Violation: no service gives up while nothing was broken: shop:b_clerk: \
_index.yaml:16: no stock
  found   at schedule 7 (random), shrunk in 1 runs
  replay  --sim-replay='test>stock.0+1'

    test        clerk       stock       node
      |           |           |           |
      |---start-->|           |           |          1
      |           |           |           |   * clerk ended: _index.yaml:16: no stock
      |---------start-------->|           |          2  <== late by 1
      |           |           |           |   * time passes: 3 s
      |           |           |<-CANCEL---|          3
      |           |           |           |   * stock ended
"""


def test_the_command_prints_the_shrunk_failure_of_an_application(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that must start after another and does not say so: one late start shows it."""
    folder = tmp_path / "hurry"
    folder.mkdir()
    (folder / "_index.yaml").write_text(IN_A_HURRY)
    arguments = ["explore", str(folder), "--kills", "0", "--delays", "0"]
    assert main([*arguments, "--report", str(tmp_path / "drawn")]) == 1
    printed = capsys.readouterr().out
    written = re.findall(r"written: (.*)", printed)
    assert [Path(path).name for path in written] == ["hurry.txt", "hurry.mmd", "hurry.svg"]
    shown = re.sub(r"(?m)^  at .*\n|^written: .*\n|\S*(?=_index\.yaml)", "", printed)
    assert shown == REPORT
    assert main([*arguments, "--replay", "test>stock.0+1"]) == 1
    assert "no stock" in capsys.readouterr().out
    assert main([*arguments, "--replay", "FIFO"]) == 0
    command = [
        sys.executable,
        "-c",
        "import sys, registry.cli as c; sys.exit(c.main(sys.argv[1:]))",
    ]
    again = subprocess.run(
        [*command, *arguments, "--sim-replay=test>stock.0+1"],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    picture = re.sub(r"\S*(?=_index\.yaml)", "", again.stdout).partition("\n\n")[2]
    assert picture == REPORT.partition("\n\n")[2]

    repaired = IN_A_HURRY.replace("max_attempts: 1", "max_attempts: 5, initial_delay: 10ms")
    (folder / "_index.yaml").write_text(repaired)
    assert main([*arguments, "--schedules", "60"]) == 0


ON_DEMAND = """
namespace: calls
entries:
  - {name: terminal, kind: terminal.host, lifecycle: {auto_start: true}}
  - name: asks
    kind: process.lua
    modules: [io]
    source: |
      return { main = function()
        io.print("this is not seen")
        process.send(process.pid(), "go", io.args()[1])
        local m = process.inbox():receive()
        if m:payload():data() == "wrong" then error("as you wish") end
      end }
"""


def test_an_application_without_services_is_explored_by_a_process_of_its_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-x ns:name args`: without it nothing happens, and that is said (TS11)."""
    (tmp_path / "_index.yaml").write_text(ON_DEMAND)
    arguments = ["explore", str(tmp_path), "--schedules", "5", "--seconds", "1"]
    assert main(arguments) == 1
    assert "it starts no process by itself; name one with -x" in capsys.readouterr().err
    assert main([*arguments, "-x", "calls:nobody"]) == 2
    assert "expected the id of a process" in capsys.readouterr().err
    assert main([*arguments, "-x", "calls:asks", "right"]) == 0
    assert "this is not seen" not in capsys.readouterr().out


def test_an_interrupted_exploration_says_how_far_it_came(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C: all runs so far have passed, or it would have ended."""

    def interrupted(progress: Progress, done: int) -> None:
        progress.done = done
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "__call__", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["explore", str(shop), "--seconds", "1"])
    assert ended.value.code == 130
    expected = "shop: interrupted after 3 runs, all of which passed"
    assert expected in capsys.readouterr().err.splitlines()


def test_a_broken_framework_is_found_by_exploring_any_application(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The invariants need no test of the user: names that outlive their holders."""
    mutant = Mutant("", "trio_actors._core.node:Node.end", "self.names.release(pid)", "pass", "")
    with mutant.applied():
        assert main(["explore", str(shop), "--schedules", "20", "--seconds", "1"]) == 1
    assert "names are released at the exit" in capsys.readouterr().out


def test_progress_says_what_is_checked_how_far_it_is_and_how_long_it_takes() -> None:
    """On standard error, every few seconds."""
    now = [100.0]
    stream = io.StringIO()
    progress = Progress("shop", 40, stream, every=5.0, clock=lambda: now[0])
    progress.begin(3.0, Faults(kill=0.03, delay=0.01))
    head, *checked = stream.getvalue().splitlines()
    assert head == "shop: 40 runs of 3 virtual seconds, kills 3.0%, delays 1.0% of all deliveries"
    assert {line.strip() for line in checked[1:]} == {SERVES, *(i.value for i in CHECKED)}
    stream.truncate(0)
    stream.seek(0)
    for done in range(1, 41):
        now[0] += 0.5
        progress(done)
    assert stream.getvalue().splitlines() == [
        "shop: 10 of 40 runs, 2/s, about 15 s left",
        "shop: 20 of 40 runs, 2/s, about 10 s left",
        "shop: 30 of 40 runs, 2/s, about 5 s left",
        "shop: 40 of 40 runs, 2/s, about 0 s left",
    ]
    assert progress.seconds == 20.0


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
