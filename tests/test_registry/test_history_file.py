"""Versions that outlive the program: RG10-RG12, `--history`."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from registry import Entry, open_app
from registry.changes import delta
from registry.history_file import dump, load, merged
from registry.transaction import Step
from trio_actors import ProcessInvalid, ProcessUnavailable

WriteApp = Callable[..., Path]
MAIN = """\
namespace: app
entries:
  - {name: a, kind: registry.entry, n: 1}
  - name: f
    kind: function.lua
    method: main
    source: 'return {main = function() return "old" end}'
"""
STATES = st.dictionaries(st.sampled_from(["a:a", "a:b", "a:c"]), st.integers(0, 2), max_size=3).map(
    lambda found: {id: Entry(id, "k", {}, {"n": n}) for id, n in found.items()}
)


async def test_a_restarted_program_continues_its_versions(
    write_app: WriteApp, tmp_path: Path
) -> None:
    """Changes at run time stay in force, edits of the files come on top, numbers go on."""
    path, file = write_app({"main.yaml": MAIN}), tmp_path / "versions.sqlite"
    code = 'return {main = function() return "new" end}'
    function = {"id": "app:f", "kind": "function.lua", "data": {"source": code, "method": "main"}}
    async with open_app(path, history=file) as app:
        await app.registry.changes().update(function).apply()
        extra = {"id": "app:x", "kind": "registry.entry", "data": {"n": 5}}
        assert str(await app.registry.changes().create(extra).apply()) == "v2"
    async with open_app(path, history=file) as app:
        assert (str(app.registry.current_version()), await app.call("app:f")) == ("v2", "new")
        await app.registry.apply_version(1)
    write_app({"main.yaml": MAIN.replace("n: 1", "n: 2")})
    async with open_app(path, history=file) as app:
        registry = app.registry
        assert [str(version) for version in registry.versions()] == ["v0", "v1", "v2", "v3"]
        assert str(registry.current_version()) == "v3"
        assert registry.get("app:a").data == {"n": 2}
        assert "app:x" not in app.definitions
        assert await app.call("app:f") == "new"
        assert registry.snapshot(2).get("app:x").data == {"n": 5}


async def test_a_file_of_another_kind_is_refused(write_app: WriteApp, tmp_path: Path) -> None:
    """A file that is no history is named, and nothing is started or overwritten."""
    path, file = write_app({"main.yaml": MAIN}), tmp_path / "notes.txt"
    file.write_text("these are my notes, and they are long enough to be no database\n" * 20)
    with pytest.raises(ProcessInvalid, match=r"notes\.txt is not a history of versions"):
        async with open_app(path, history=file):
            pytest.fail("started")
    assert file.read_text().startswith("these are my notes")


@given(STATES, STATES, STATES)
def test_edits_come_on_top_of_changes(files: dict[str, Entry], edited: dict[str, Entry],
                                      current: dict[str, Entry]) -> None:  # fmt: skip
    """Without changes at run time the files win; without edits the stored state does."""
    assert merged(files, delta(files, edited)) == edited
    assert merged(current, delta(files, files)) == current
    assert load(dump(current)) == current


def extra(n: int, **data: Any) -> dict[str, Any]:
    """One more entry."""
    return {"id": f"app:x{n}", "kind": "registry.entry", "data": data}


async def test_a_history_that_cannot_be_written_refuses_the_change(
    write_app: WriteApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RG5: locked by another program: UNAVAILABLE, nothing has changed; others run meanwhile."""
    monkeypatch.setattr("registry.history_file.BUSY_LIMIT", 0.05)
    path, file = write_app({"main.yaml": MAIN}), tmp_path / "versions.sqlite"
    async with open_app(path, history=file) as app:
        registry, turns = app.registry, 0

        async def neighbour() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(neighbour)
                with pytest.raises(ProcessUnavailable, match=r"cannot be written: .*locked") as one:
                    await registry.changes().create(extra(1)).apply()
                nursery.cancel_scope.cancel()
            assert one.value.retryable is True
            assert turns > 10
            other.execute("ROLLBACK")
        assert "app:x1" not in app.definitions
        assert [str(version) for version in registry.versions()] == ["v0"]
        assert str(await registry.changes().create(extra(1)).apply()) == "v1"


@pytest.mark.parametrize("step", [1, 2])
async def test_a_refused_change_is_not_in_the_history(
    write_app: WriteApp, tmp_path: Path, step: int
) -> None:
    """RG5, RG12: a fault in any step, of a new version or on the way to an old one."""
    path, file = write_app({"main.yaml": MAIN}), tmp_path / "versions.sqlite"
    async with open_app(path, history=file) as app:
        registry, do, left = app.registry, app.registry._do, step
        await registry.changes().create(extra(1)).create(extra(2)).apply()

        async def failing(one: Step) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise ProcessUnavailable("a fault")
            await do(one)

        registry._do = failing  # type: ignore[method-assign]
        with pytest.raises(ProcessUnavailable, match="a fault"):
            await registry.changes().create(extra(3)).create(extra(4)).apply()
        left = step
        with pytest.raises(ProcessUnavailable, match="a fault"):
            await registry.apply_version(0)
    async with open_app(path, history=file) as app:
        assert [str(version) for version in app.registry.versions()] == ["v0", "v1"]
        assert app.registry.current_version().id == 1
        assert {"app:x1", "app:x2"} <= app.definitions.keys()
        assert str(await app.registry.changes().create(extra(3)).apply()) == "v2"


async def test_data_comes_back_as_it_was(write_app: WriteApp, tmp_path: Path) -> None:
    """RG11: bytes and keys that are no texts too, as scripts may give them."""
    path, file = write_app({"main.yaml": MAIN}), tmp_path / "versions.sqlite"
    data = {"raw": b"\xff\x00", "by_number": {1: "a", 2: {"$map": 1}}, "f": 1.5, "none": None}
    async with open_app(path, history=file) as app:
        await app.registry.changes().create(extra(1, **data)).apply()
        with pytest.raises(ProcessInvalid, match="a object cannot be kept"):
            await app.registry.changes().create(extra(2, thing=object())).apply()
    async with open_app(path, history=file) as app:
        assert app.registry.get("app:x1").data == data
        assert "app:x2" not in app.definitions


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE versions SET state = 'no json'",
        "UPDATE versions SET state = '[1]'",
        "DELETE FROM facts",
        "UPDATE facts SET value = '7' WHERE name = 'current'",
    ],
)
async def test_a_damaged_history_is_named(write_app: WriteApp, tmp_path: Path, damage: str) -> None:
    """INVALID with the file's name, and nothing starts."""
    path, file = write_app({"main.yaml": MAIN}), tmp_path / "versions.sqlite"
    async with open_app(path, history=file) as app:
        await app.registry.changes().create(extra(1)).apply()
    with closing(sqlite3.connect(file)) as base, base:
        base.execute(damage)
    with pytest.raises(ProcessInvalid, match=r"versions\.sqlite is not a history of versions"):
        async with open_app(path, history=file):
            pytest.fail("started")
