"""The planted races of testing.md §5: found within the default budget, their twins are silent."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from races import RACES
from trio.testing import MockClock

import trio_actors
from trio_actors.testing import Schedule, ScheduleFailure, explore
from trio_actors.testing.explore import settings

race_of = pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)


@pytest.fixture(autouse=True)
def _no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "directory", tmp_path)


def find(race: Any, repaired: bool, **options: Any) -> Any:
    """Explores a race as a user's test would."""

    @explore(**options)
    async def test(sim: Any) -> None:
        await race(sim, repaired)

    test()
    return settings.explored


@race_of
def test_a_planted_race_is_found_within_the_default_budget(race: Any) -> None:
    """TS10: 200 schedules; the shrunk schedule has few annotations and is 1-minimal."""
    with pytest.raises(ScheduleFailure) as caught:
        find(race, repaired=False)
    report = caught.value.report
    annotations = report.schedule.annotations()
    assert 1 <= len(annotations) <= 3, str(report.schedule)
    for index in range(len(annotations)):
        rest = Schedule.of(annotations[:index] + annotations[index + 1 :])
        find(race, repaired=False, replay=rest)  # passes


@race_of
def test_the_repaired_twin_is_silent(race: Any) -> None:
    """No false alarm within 300 schedules."""
    find(race, repaired=True, schedules=300)


class PlainSim:
    """What a race needs, on a node without simulation."""

    def __init__(self, node: trio_actors.Node, host: trio_actors.Host) -> None:
        self.node = node
        self.host = host

    async def spawn(self, fn: Any, *args: Any, name: str) -> str:
        return await self.host.spawn(fn, *args, name=name)

    def send(self, dst: str, topic: str, *payload: Any) -> None:
        self.node.send(dst, topic, *payload)

    async def settle(self) -> None:
        await trio.sleep(60)

    async def run_for(self, seconds: float) -> None:
        await trio.sleep(seconds)


@race_of
def test_plain_runs_do_not_find_it(race: Any) -> None:
    """2,000 ordinary runs with virtual time show nothing (§5)."""

    async def main() -> None:
        for _ in range(2000):
            async with trio_actors.open_node() as node, node.open_host("h0", drain=0) as host:
                await race(PlainSim(node, host), False)

    trio.run(main, clock=MockClock(autojump_threshold=0))


CHILD = """
import sys
from races import RACES
from trio_actors.testing import explore, ScheduleFailure
import trio_actors.testing.exploration as exploration
race = next(r for r in RACES if r.__name__ == sys.argv[1])
seen = []
make = exploration.Exploration._make
async def noted(self, plan):
    outcome = await make(self, plan)
    seen.append(outcome.digest)
    return outcome
exploration.Exploration._make = noted
@explore(replay=sys.argv[2], report=("text",))
async def test(sim):
    await race(sim, False)
try:
    test()
except ScheduleFailure as failure:
    print(failure.token, seen[0])
"""


def test_a_token_gives_the_identical_run_in_another_process() -> None:
    """TS14: the same trace hash under another PYTHONHASHSEED."""
    race = RACES[1]
    with pytest.raises(ScheduleFailure) as caught:
        find(race, repaired=False)
    token = caught.value.token
    outputs = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, race.__name__, token],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "tests"},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert re.fullmatch(rf"{re.escape(token)} [0-9a-f]{{24}}\n", outputs.pop())


def test_the_report_names_property_token_and_how_it_was_found() -> None:
    """TS15: text with the late message marked; Mermaid and SVG files beside it."""
    with pytest.raises(ScheduleFailure) as caught:
        find(RACES[1], repaired=False)
    text = str(caught.value)
    assert "the living worker has lost its name" in text
    assert re.search(r"found   at schedule \d+ \(\w+\), shrunk in \d+ runs", text)
    assert f"--sim-replay='{caught.value.token}'" in text
    assert "<== late by" in text
    assert settings.directory is not None
    files = {path.suffix: path.read_text() for path in settings.directory.iterdir()}
    assert set(files) == {".txt", ".mmd", ".svg"}
    assert files[".mmd"].startswith("sequenceDiagram")
    assert "late by" in files[".mmd"]
    assert files[".svg"].startswith("<svg")
    assert "late by" in files[".svg"]
