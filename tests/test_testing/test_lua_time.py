"""Time and chance of Lua scripts in a simulation: virtual, seeded, repeatable (TS3)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from lua_bridge import LuaTarget, Script
from trio_actors.testing import Sim, explore
from trio_actors.testing.run import EPOCH

SOURCE = """
return function()
  local seen = { os.time(), os.clock(), math.random(1, 2^40), math.random() }
  time.sleep("90s")
  local more = { os.time(), os.clock(), math.random(1, 2^40), os.date("!%Y-%m-%d %H:%M:%S") }
  return { seen, more, time.now():unix(), os.difftime(more[1], seen[1]) }
end
"""
TARGET = LuaTarget(Script("app:looks", SOURCE, modules=("time",)))


def look(seed: int, *, jump: float = 0.0) -> list[list[Any]]:
    """What two scripts see, in each of some runs."""
    found: list[list[Any]] = []

    @explore(schedules=6, strategy="portfolio", seed=seed, check_determinism=1, report=("text",))
    async def test(sim: Sim) -> None:
        pids = [await sim.spawn(TARGET, name=name, host=name) for name in ("one", "two")]
        if jump:
            sim.clock_jump("two", jump)
        await sim.run_for(200)
        found.append([(await sim.node.wait(pid)).value for pid in pids])

    test()
    return found


def test_time_is_virtual() -> None:
    """os.time, os.date and os.clock stand where the simulation's clocks stand."""
    for one, _ in look(1):
        seen, more, unix, passed = one
        assert seen[:2] == [EPOCH, 0.0]
        assert more[:2] == [EPOCH + 90, pytest.approx(90.0)]
        assert more[3] == "2025-06-15 15:08:10"
        assert (unix, passed) == (EPOCH + 90, 90.0)


def test_a_clock_jump_moves_the_wall_clock_of_its_host_only() -> None:
    """TS16: os.time follows, os.clock does not."""
    for one, two in look(1, jump=3600.0):
        assert one[0][0] == EPOCH
        assert two[0][0] == EPOCH + 3600
        assert two[1][1] == pytest.approx(90.0)


def test_chance_depends_on_seed_and_process_only() -> None:
    """math.random: not on the order of messages, not on the run, not on the other process."""
    runs = look(1)
    assert all(run == runs[0] for run in runs)
    one, two = runs[0]
    assert one[0][2:] != two[0][2:]
    other = look(2)[0][0]
    assert other[0][2:] != one[0][2:]
    assert (other[0][:2], other[2:]) == (one[0][:2], one[2:])


CHILD = """
import json, sys
from test_lua_time import look
print(json.dumps(look(int(sys.argv[1]))))
"""


def test_replays_in_other_interpreters_agree() -> None:
    """TS14: under another PYTHONHASHSEED and another real time; another seed differs."""
    outputs = []
    for hash_seed, seed in (("1", "7"), ("2", "7"), ("2", "8")):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, seed],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.path.dirname(__file__),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(json.loads(done.stdout))
    assert outputs[0] == outputs[1] == json.loads(json.dumps(look(7)))
    assert outputs[2] != outputs[0]
