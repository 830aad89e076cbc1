"""Labels, tokens and pictures, whatever processes and topics are called (TS14, TS15)."""

from __future__ import annotations

import shlex
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_actors import ProcessContext
from trio_actors.testing import Schedule, ScheduleFailure, Sim, explore
from trio_actors.testing.explore import seed_of, settings
from trio_actors.testing.report import MAX_STEM, file_stem, quoted
from trio_actors.testing.report_text import one_line

NAMES = ["test", "node", "clock", "buggify", "w", "w#2", "it's; a > b", "naïve\x00\udc80"]


async def gets(ctx: ProcessContext) -> None:
    """Ends with its first message."""
    await ctx.inbox.receive()


def failing(names: list[str]) -> ScheduleFailure:
    """The failure of a test with processes of these names."""

    @explore(strategy="fifo", report=("text",))
    async def test(sim: Sim) -> None:
        pids = [await sim.spawn(gets, name=name) for name in names]
        await sim.run_for(0)
        for pid in pids:
            sim.send(pid, "a;b#c\n<d>")
        await sim.settle()
        raise ValueError("no\x1b good\udc80")

    with pytest.raises(ScheduleFailure) as caught:
        test()
    return caught.value


def test_names_that_the_harness_uses_itself_are_not_mixed_up() -> None:
    """A process called `test` is not the test, and no two processes have one label."""

    @explore(report=("text",))
    async def test(sim: Sim) -> None:
        pids = [await sim.spawn(gets, name=name) for name in NAMES]
        await sim.run_for(0)
        labels = [sim.label(pid) for pid in pids]
        assert labels[:4] == ["test#2", "node#2", "clock#2", "buggify#2"]
        assert len(set(labels)) == len(labels)
        for name in NAMES:
            sim.send(name, "end")

    test()


def test_pictures_can_be_written_and_read_whatever_is_in_them(tmp_path: Any) -> None:
    """Text, Mermaid and SVG: what cannot be printed is escaped, and what the formats reserve."""
    report = failing(NAMES).report
    paths = {path.suffix: path.read_text(encoding="utf-8") for path in report.write(tmp_path)}
    ET.fromstring(paths[".svg"])
    assert "w#35;2" in paths[".mmd"]
    assert "a#59;b#35;c #60;d#62;" in paths[".mmd"]
    assert all(len(line.split("\n")) == 1 for line in paths[".txt"].splitlines())
    assert "\x1b" not in paths[".svg"] + paths[".mmd"]


@pytest.mark.parametrize(
    ("test", "stem"),
    [
        ("tests/test_a.py::TestB::test_c[x-1]", "tests-test_a.py-TestB-test_c-x-1"),
        ("two_tasks.test", "two_tasks.test"),
        ("a.py::test_c[x/1]", "a.py-test_c-x_1-"),
        ("a.py::test_c[x::1]", "a.py-test_c-x_1-"),
        ("a.py::test_c[]", "a.py-test_c-"),
        ("../a.py::test_c", "a.py-test_c-"),
        ("?", "_-"),
        ("", ""),
    ],
)
def test_a_picture_is_named_after_its_test(test: str, stem: str) -> None:
    """TS15: a readable file name; with a checksum where characters had to be replaced."""
    assert file_stem(test).startswith(stem)
    if not stem.endswith("-") and stem:
        assert file_stem(test) == stem


@given(st.text(), st.text())
def test_different_tests_have_pictures_of_different_names(one: str, other: str) -> None:
    """TS15: names that every file system takes, whatever the tests are called."""
    pair = [file_stem(f"test_a.py::test_b[{parameter}]") for parameter in (one, other)]
    assert (pair[0] == pair[1]) == (one == other)
    for stem in pair:
        assert stem.isascii()
        assert not set(stem) & set('/\\:*?"<>| ')
        assert 0 < len(stem) <= MAX_STEM + 9


@given(st.text())
def test_a_text_in_a_picture_is_one_line_that_can_be_printed(text: str) -> None:
    """Whatever it was."""
    assert one_line(text).isprintable()


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_a_token_is_one_word_for_a_shell(names: list[str]) -> None:
    """Names may have quotes."""
    token = ";".join(names)
    assert shlex.split(quoted(token)) == [token]


def test_a_seed_does_not_depend_on_the_order_of_a_set() -> None:
    """TS14: inputs of a test may be sets, whose order differs from process to process."""
    one, other = {"a", "b", "c", "d"}, {"d", "c", "b", "a"}
    inputs = [{"names": [frozenset(names)]} for names in (one, other)]
    assert seed_of("test", inputs[0]) == seed_of("test", inputs[1])
    assert seed_of("test", {"names": [frozenset("abc")]}) != seed_of("test", inputs[0])


def two_tasks(*, careful: bool) -> Any:
    """One event wakes two tasks of a process; the younger one needs what the older one makes."""

    @explore(report=("text",))
    async def test(sim: Sim) -> None:
        async def process(ctx: ProcessContext) -> str:
            made: list[str] = []
            go, done = trio.Event(), trio.Event()

            async def makes() -> None:
                await go.wait()
                made.append("it")
                done.set()

            async def needs() -> None:
                await (done if careful else go).wait()
                assert made, "nothing is there yet"

            async with trio.open_nursery() as nursery:
                nursery.start_soon(makes)
                nursery.start_soon(needs)
                await trio.sleep(1)
                go.set()
            return made[0]

        assert await sim.call(process) == "it"

    return test


def test_tasks_that_one_step_wakes_run_in_both_orders() -> None:
    """TS10: oldest first, and in a run or more youngest first; the token and the report say so."""
    with pytest.raises(ScheduleFailure) as caught:
        two_tasks(careful=False)()
    assert caught.value.token == "!tasks<youngest.1=on"
    assert "faults  tasks that run in one step do so youngest first" in str(caught.value)
    again = Schedule.parse(caught.value.token)
    with pytest.raises(ScheduleFailure):
        explore(replay=again, report=("text",))(two_tasks(careful=False).__wrapped__)()
    two_tasks(careful=True)()
    assert settings.explored["two_tasks.test"].verified is not None
