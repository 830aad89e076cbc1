"""`run --watch`: edits of files, also half written ones, on top of other changes; LD3, RG5."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from terminals import Terminal

from registry import App, open_app
from registry.cli import watch as watching
from registry.cli.watch import apply_edits, fingerprint

WriteApp = Callable[..., Path]
LOGWATCH = Path(__file__).parents[2] / "examples" / "logwatch"
MAIN = """\
namespace: app
entries:
  - {name: a, kind: registry.entry, n: 1}
  - {name: b, kind: registry.entry, n: 1}
  - {name: f, kind: function.lua, method: m, source: "return {m = function() return 1 end}"}
"""
TEXT = "return {m = function() return 1 end}"
NAMES_TEXT = """\
namespace: app
entries:
  - {name: g, kind: function.lua, method: m, source: "file://t.lua"}
"""


def edit(file: Path, text: str) -> None:
    """As most editors do it: a new file in the place of the old one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_what_it_tells_on_a_terminal(tmp_path: Path, runtime: Path) -> None:
    """logwatch while it runs: a right edit, one with a mistake, half a file, the end by Ctrl-C."""
    path = tmp_path / "logwatch"
    shutil.copytree(LOGWATCH, path)
    rules, index = path / "rules.lua", path / "_index.yaml"
    whole = index.read_text()
    run = Terminal("run", str(path), "--watch", "--log-level", "info")
    while not list(runtime.glob("trio-actors/*.sock")):  # the files have been loaded
        time.sleep(0.02)
    edit(rules, rules.read_text() + "\n-- edited\n")
    run.wait_for("watch: applied as v1:")
    run.wait_for("~ logwatch:rules_script")
    edit(rules, "return {")
    run.wait_for("watch: nothing applied, the files have problems:")
    run.wait_for("rules.lua:1:")
    edit(rules, (LOGWATCH / "rules.lua").read_text())
    run.wait_for("watch: applied as v2:")
    edit(index, whole[: whole.index("kind") + 2])
    run.wait_for("_index.yaml:")
    edit(index, whole.replace("kind: process.host", "kind: process.host, nonsense: 1", 1))
    run.wait_for("nonsense")
    edit(index, whole)
    os.write(run.screen, b"\x03")
    seen = run.rest()
    assert run.process.wait(timeout=30) == 0
    assert "Traceback" not in seen
    assert seen.count("applied as") == 2


class Looks:
    """Files as `watch` finds them, look by look, and whether it read them then."""

    def __init__(self, *marks: str) -> None:
        self.marks = list(marks)
        self.read_at: list[int] = []
        self.count = 0

    def fingerprint(self, root: Path) -> Any:
        """One look."""
        self.count += 1
        return {"main.yaml": self.marks[min(self.count, len(self.marks)) - 1]}

    async def apply(self, app: App, path: Path, overrides: Any) -> str:
        """The files are read now."""
        self.read_at.append(self.count)
        return ""


async def at_once(function: Callable[..., Any], *args: Any) -> Any:
    """In the place of `Node.blocking`: a thread would take real time."""
    await trio.lowlevel.checkpoint()
    return function(*args)


@pytest.mark.parametrize(
    ("marks", "read_at"),
    [
        ("aaa", [2]),  # as they are when it begins: they may have changed since the load
        ("aabb", [2, 4]),
        ("aabcdd", [2, 6]),  # somebody is writing
        ("aabaa", [2]),  # taken back
        ("abcabc", [7]),
    ],
)
async def test_files_are_read_when_nobody_writes_any_more(
    write_app: WriteApp,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
    marks: str,
    read_at: list[int],
) -> None:
    """Two looks in a row find the same, and not what was applied last."""
    looks = Looks(*marks)
    monkeypatch.setattr(watching, "fingerprint", looks.fingerprint)
    monkeypatch.setattr(watching, "apply_edits", looks.apply)
    async with open_app(write_app({"main.yaml": MAIN})) as app:
        monkeypatch.setattr(app.node, "blocking", at_once)
        with trio.move_on_after(60):
            await watching.watch(app, app.application.root, ())
    assert looks.read_at == read_at


async def test_only_files_of_the_application_count(
    write_app: WriteApp,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A log in its directory that always grows holds up no edit; what is wrong is said once."""
    path = write_app({
        "main.yaml": MAIN, "a.yaml": "namespace: app\nentries: []\n", "t.lua": TEXT,
    })  # fmt: skip
    told: list[str] = []

    async def write_a_log() -> None:
        while True:
            with (path / "log.err").open("a") as log:
                log.write("a line\n")
            await trio.sleep(0.3)

    async def after(name: str, text: str) -> None:
        edit(path / name, text)
        await trio.sleep(5)
        told.append(capsys.readouterr().err)

    async with open_app(path) as app, trio.open_nursery() as nursery:
        monkeypatch.setattr(app.node, "blocking", at_once)
        nursery.start_soon(write_a_log)
        nursery.start_soon(watching.watch, app, path, ())
        await after("main.yaml", MAIN.replace("n: 1", "n: 2"))
        await after("a.yaml", NAMES_TEXT.replace("t.lua", "u.lua"))
        await after("main.yaml", MAIN.replace("n: 1", "n: 3"))  # the problem is what it was
        await after("u.lua", TEXT)  # named by an entry, and now it is there
        await after("u.lua", TEXT.replace("1", "2"))
        await after("t.lua", "return {")  # named by nobody
        await after("new.yaml", "namespace: new\nname: e\nkind: registry.entry\n")
        nursery.cancel_scope.cancel()
    assert told[0] == "watch: applied as v1:\n~ app:a\n~ app:b\n"
    assert told[1].startswith("watch: nothing applied, the files have problems:\napp/a.yaml:3:")
    assert [text.replace("watch: applied as ", "") for text in told[2:]] == [
        "", "v2:\n~ app:a\n~ app:b\n+ app:g\n", "v3:\n~ app:g\n", "", "v4:\n+ new:e\n",
    ]  # fmt: skip


async def test_changes_at_run_time_stay_when_files_are_edited(write_app: WriteApp) -> None:
    """What was edited is applied, and only that; in the history too."""
    path = write_app({"main.yaml": MAIN})
    history = path.parent / "versions.sqlite"
    async with open_app(path, history=history) as app:
        changes, get = app.registry.changes, app.registry.get
        made = {"id": "app:made", "kind": "registry.entry", "data": {"n": 1}}
        changed = {"id": "app:b", "kind": "registry.entry", "data": {"n": "changed"}}
        await changes().create(made).update(changed).apply()
        edit(path / "main.yaml", MAIN.replace("name: a, kind: registry.entry, n: 1",
                                              "name: a, kind: registry.entry, n: 2"))  # fmt: skip
        assert await apply_edits(app, path, ()) == "applied as v2:\n~ app:a"
        assert await apply_edits(app, path, ()) == ""
        assert (get("app:made").data, get("app:b").data) == ({"n": 1}, {"n": "changed"})
        await changes().update({**changed, "id": "app:a"}).apply()
    async with open_app(path, history=history) as app:
        assert app.registry.get("app:a").data == {"n": "changed"}  # the edit was applied before
        assert str(app.registry.current_version()) == "v3"
        edit(path / "main.yaml", MAIN.replace("name: b", "name: c"))
        text = await apply_edits(app, path, ())
        assert text == "applied as v4:\n- app:b\n~ app:a\n+ app:c"


async def test_the_application_goes_on_whatever_becomes_of_its_files(
    write_app: WriteApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No directory, no text, a name that cannot be read, a kind that fails in its own way."""
    path = write_app({"main.yaml": MAIN})
    async with open_app(path) as app:
        (path / "main.yaml").write_bytes(b"namespace: \xff\xfe\n")
        assert "a readable UTF-8 file" in await apply_edits(app, path, ())
        (path / "main.yaml").unlink()
        (path / "main.yaml").symlink_to("main.yaml")
        assert "nothing applied" in await apply_edits(app, path, ())
        assert fingerprint(path) == {}
        (path / "main.yaml").unlink()
        path.rename(path.with_name("moved"))
        assert "nothing applied" in await apply_edits(app, path, ())
        assert fingerprint(path) == {}
        path.with_name("moved").rename(path)
        (path / "main.yaml").write_text(MAIN.replace("n: 1", "n: 2"))

        async def broken(step: object) -> None:
            raise RuntimeError("a plugin's mistake")

        with monkeypatch.context() as patched:
            patched.setattr(app.registry, "_do", broken)
            text = await apply_edits(app, path, ())
        assert text == "refused:\n~ app:a\n~ app:b\nRuntimeError: a plugin's mistake"
        assert await apply_edits(app, path, ()) == "applied as v1:\n~ app:a\n~ app:b"
        assert await app.call("app:f") == 1
