"""Versions that outlive the program: RG10-RG12, `--history`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import Entry, open_app
from registry.changes import delta
from registry.history_file import dump, load, merged
from trio_actors import ProcessInvalid

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
