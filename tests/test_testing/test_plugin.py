"""The pytest plugin, as a user meets it: in an interpreter of its own (TS12, TS14, TS15)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shop import APPLICATION

import trio_actors.testing.explore  # noqa: F401  the module; the package has the function
from trio_actors.testing import plugin
from trio_actors.testing.explore import Settings

explore_module = sys.modules["trio_actors.testing.explore"]

USERS = """
from pathlib import Path

import trio
from registry import open_app
from trio_actors.testing import explore
from trio_actors.testing.application import explore_application

SHOP = Path(__file__).parent / "shop"


@explore()
async def test_python(sim):
    sold = []

    async def stock(ctx):
        left = 1
        async for message in ctx.inbox:
            if message.topic == "left?":
                ctx.send(message.payload, "left", left)
            else:
                left -= 1
                sold.append(message.sender)

    async def clerk(ctx, colleague):
        await ctx.receive("your turn")
        ctx.send("stock", "left?", ctx.pid)
        if (await ctx.receive("left")).payload > 0:
            ctx.send("stock", "sell")
        if colleague:
            ctx.send(colleague, "your turn")

    await sim.spawn(stock, name="stock")
    await sim.spawn(clerk, None, name="ben")
    await sim.spawn(clerk, "ben", name="ada")
    sim.send("ada", "your turn")
    await sim.settle()
    assert len(sold) <= 1


@explore()
async def test_lua(sim):
    async with open_app(SHOP) as app:
        ben = await app.spawn("shop:clerk", "shop:processes")
        ada = await app.spawn("shop:clerk", "shop:processes", ben)
        await sim.run_for(0.1)
        stock = app.node.lookup("stock")
        app.node.send(ada, "your turn")
        await sim.run_for(0.1)
        assert stock in app.node.processes, "the stock has failed"


@explore(seed=3)
async def test_nothing_is_wrong(sim):
    async def brief(ctx):
        await ctx.inbox.receive()

    await sim.spawn(brief, name="brief")
    sim.send("brief", "end")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's test file and application."""
    (tmp_path / "test_users.py").write_text(USERS)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "_index.yaml").write_text(APPLICATION)
    return tmp_path


def run_pytest(folder: Path, *options: str, hash_seed: str = "1") -> str:
    """What pytest prints, with another order of all sets."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def picture(report: str) -> str:
    """The part of a report that shows the run."""
    return report.partition("--sim-replay")[2].partition("\n")[2].rstrip()


@pytest.mark.parametrize("name", ["test_python", "test_lua"])
def test_a_printed_token_replays_the_run_in_another_process(folder: Path, name: str) -> None:
    """TS14: processes in Python, and an application with processes in Lua."""
    printed = run_pytest(folder, f"test_users.py::{name}", "--sim-report=found")
    assert "1 failed" in printed
    assert "_explore" not in printed, "frames of the harness are of no use to its users"
    assert f"pictures: found/test_users.py-{name}.svg" in printed
    token = re.search(r"--sim-replay='(.*)'", printed)
    assert token is not None
    found = (folder / "found" / f"test_users.py-{name}.txt").read_text()
    assert "late by" in found
    option = f"--sim-replay={token[1]}"
    again = run_pytest(
        folder, f"test_users.py::{name}", option, "--sim-report=again", hash_seed="2"
    )
    assert "1 failed" in again
    assert picture((folder / "again" / f"test_users.py-{name}.txt").read_text()) == picture(found)


def test_a_token_of_another_version_says_what_did_not_occur(folder: Path) -> None:
    """The run passes, and that may be why."""
    token = "--sim-replay=test>brief.1+2;ada>stock.2+2;!brief<ben.1=kill"
    printed = run_pytest(folder, "test_users.py::test_nothing_is_wrong", token)
    expected = "passed: 1 schedule (did not occur: !brief<ben.1=kill; ada>stock.2+2)"
    assert f"test_nothing_is_wrong: {expected}" in printed


def test_how_much_was_explored_is_said_with_v(folder: Path) -> None:
    """TS10, TS12: all traces of a small system."""
    printed = run_pytest(folder, "-vv", "test_users.py::test_nothing_is_wrong")
    assert "test_nothing_is_wrong: verified: all 1 traces" in printed


PARAMETRISED = """
import pytest
from hypothesis import given, settings, strategies as st
from trio_actors.testing import explore


async def brief(ctx):
    await ctx.inbox.receive()


class TestBrief:
    @pytest.mark.parametrize("end", ["good", "b/d", "b_d"])
    @explore()
    async def test_end(self, sim, end):
        await sim.spawn(brief, name="brief")
        sim.send("brief", end)
        await sim.settle()
        assert end == "good"


@pytest.mark.parametrize("times", [1, 2])
@explore()
@settings(max_examples=2, database=None)
@given(st.none())
async def test_given(sim, times, _):
    await sim.spawn(brief, name="brief")
    for _ in range(times):
        sim.send("brief", "end")
    await sim.settle()
"""


def test_each_of_a_parametrised_test_has_its_own_line_and_pictures(tmp_path: Path) -> None:
    """TS10, TS15: under its node id, in two files of the same tests too."""
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text(PARAMETRISED)
    printed = run_pytest(tmp_path, "-vv", "--sim-report=found")
    assert "4 failed, 6 passed" in printed
    summary = printed.partition(" simulated tests ")[2]
    for name in ("test_a.py", "test_b.py"):
        assert f"{name}::TestBrief::test_end[good]: verified: all 1 traces" in summary
        assert f"{name}::test_given[1]: " in summary
        assert f"{name}::test_given[2]: " in summary
    pictures = sorted(path.stem for path in (tmp_path / "found").glob("*.svg"))
    plain = [re.sub("-[0-9a-f]{8}$", "", stem) for stem in pictures]
    assert plain == [
        f"{name}-TestBrief-test_end-b_d" for name in ("test_a.py", "test_b.py") for _ in "/_"
    ]
    assert plain[0] in pictures, "only what had to be replaced has a checksum"
    assert len(set(pictures)) == 4


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--sim-replay", "nonsense", "cannot read 'nonsense' in a schedule"),
        ("--sim-replay", "!a<b.1=explode", "unknown fault 'explode'"),
        ("--sim-schedules", 0, "must be at least 1, not 0"),
    ],
)
def test_a_wrong_option_is_a_usage_error(option: str, value: Any, problem: str) -> None:
    """TS12: before any test is run."""
    config: Any = SimpleNamespace(getoption={option: value}.get)
    with pytest.raises(pytest.UsageError, match=problem):
        plugin.pytest_configure(config)


def test_the_options_reach_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """TS12: so many runs, only that schedule, pictures there; without options nothing changes."""
    monkeypatch.setattr(explore_module, "settings", Settings())
    plugin.pytest_configure(SimpleNamespace(getoption=lambda option: None))  # type: ignore[arg-type]
    assert explore_module.settings == Settings()
    options = {"--sim-schedules": 7, "--sim-replay": "a>b.1+2", "--sim-report": "there"}
    plugin.pytest_configure(SimpleNamespace(getoption=options.get))  # type: ignore[arg-type]
    assert explore_module.settings == Settings(7, "a>b.1+2", Path("there"))
