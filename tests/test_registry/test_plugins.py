"""Kinds of other distributions: PG1-PG3, HT1 for kinds whose extra is missing."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs
import pytest

from registry import App, BaseKind, Definition, LoadError, open_app, read_application, setting
from registry.app import start_application
from registry.catalog import GROUP, read_catalog
from registry.cli import main
from registry.reference import kinds_markdown
from trio_actors import ProcessInvalid, ProcessUnavailable

WriteApp = Callable[..., Path]
LOG: list[str] = []


@attrs.frozen
class Lamp:
    """The model of the kind below."""

    color: str = setting("what it shines")
    watts: int = setting("how much", default=40)


class LampKind(BaseKind):
    """A kind as a plugin writes it."""

    model = Lamp

    async def add(self, app: App, definition: Definition) -> None:
        """Note it; a broken lamp refuses."""
        if definition.model.color == "broken":
            raise ProcessUnavailable("no light")
        LOG.append(f"add {definition.id} {definition.model.color}")

    async def remove(self, app: App, definition: Definition) -> None:
        """Note it."""
        LOG.append(f"remove {definition.id} {definition.model.color}")


LAMP = LampKind()
NOT_A_KIND = object()


def point(name: str, attribute: str) -> EntryPoint:
    """An entry point into this file."""
    module = sys.modules[__name__]
    sys.modules.setdefault("plugin_of_tests", module)
    return EntryPoint(name, f"plugin_of_tests:{attribute}", GROUP)


async def test_a_plugin_kind_is_used_like_a_built_in_one(write_app: WriteApp) -> None:
    """PG1, PG2: in YAML, in changes, in reports; raising refuses the change."""
    catalog = read_catalog([point("lamp", "LAMP")])
    path = write_app({"a.yaml": "namespace: a\nentries: [{name: l, kind: lamp, color: red}]\n"})
    LOG.clear()
    async with start_application(read_application(path, catalog=catalog)) as app:
        new = {"id": "a:l", "kind": "lamp", "data": {"color": "blue"}}
        await app.registry.changes().update(new).apply()
        broken = {"id": "a:l", "kind": "lamp", "data": {"color": "broken"}}
        with pytest.raises(ProcessUnavailable, match="no light"):
            await app.registry.changes().update(broken).apply()
    assert LOG == [
        "add a:l red", "remove a:l red", "add a:l blue", "remove a:l blue", "add a:l blue",
    ]  # fmt: skip
    path = write_app({"a.yaml": "namespace: a\nentries: [{name: l, kind: lamp, colour: red}]\n"})
    with pytest.raises(LoadError) as caught:
        read_application(path, catalog=catalog)
    assert str(caught.value).splitlines() == [
        "app/a.yaml:2:11: entry a:l: color: expected a text, got nothing",
        'app/a.yaml:2:33: entry a:l: colour: expected color or watts, got "colour"; did you mean '
        '"color"?',
    ]


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ([point("process.host", "LAMP")],
         "kind process.host of an unknown distribution: expected a kind of its own, got one that "
         "is built in"),
        ([point("lamp", "LAMP"), point("lamp", "LAMP")],
         "kind lamp of an unknown distribution: expected a kind of its own, got one that is that "
         "of an unknown distribution"),
        ([point("lamp", "NOTHING")],
         "kind lamp of an unknown distribution: expected a plugin that can be imported, got "
         "AttributeError"),
        ([point("lamp", "NOT_A_KIND")],
         "kind lamp of an unknown distribution: expected an object with model, references, add, "
         "update, remove, got one without model, references, add, update, remove"),
    ],
)  # fmt: skip
def test_wrong_plugins_stop_the_start(
    points: list[EntryPoint], line: str, write_app: WriteApp
) -> None:
    """PG3: a built-in kind cannot be replaced; two for one kind, or a broken one, are reported."""
    path = write_app({"a.yaml": "namespace: a\nentries: []\n"})
    with pytest.raises(LoadError) as caught:
        read_application(path, catalog=read_catalog(points))
    assert str(caught.value).startswith(f"(plugins):1:1: {line}")


def test_a_kind_without_its_extra_names_the_extra(
    write_app: WriteApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind that needs an extra is a load error that says what to install."""
    monkeypatch.setitem(sys.modules, "cronsim", None)
    monkeypatch.delitem(sys.modules, "registry.kinds.schedules", raising=False)
    path = write_app(
        {"a.yaml": "namespace: a\nentries: [{name: j, kind: schedule.job, func: f}]\n"}
    )
    with pytest.raises(LoadError) as caught:
        read_application(path)
    assert str(caught.value) == (
        'app/a.yaml:2:27: entry a:j: kind: expected the extra "schedule" to be installed '
        '(pip install "trio-actors[schedule]"), got nothing of it'
    )


SHELF = """
import attrs
from typing import Annotated
from registry import Ref, Reference, setting

LOG = []

@attrs.frozen
class Shelf:
    lamp: Annotated[str, Ref(("lamp",))] = setting("what lights it")
    boards: int = setting("how many", default=3)

class ShelfKind:  # only what is asked for
    model = Shelf

    def references(self, model):
        return [Reference(("lamp",), model.lamp, Ref(("lamp",)))]

    async def add(self, app, definition):
        if definition.model.boards > 9:
            raise ValueError("too heavy")
        LOG.append(("add", definition.model))

    async def update(self, app, old, new):
        if new.model.boards > 9:
            raise ValueError("too heavy")
        LOG.append(("update", old.model, new.model))

    async def remove(self, app, definition):
        LOG.append(("remove", definition.model))

KIND = ShelfKind()
BROKEN = 1 // 0
"""


def install(place: Path, distribution: str, points: dict[str, str], source: str = "") -> None:
    """A distribution with these entry points, as pip leaves it, and its module."""
    info = place / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    if source:
        (place / f"{distribution}_kinds.py").write_text(source)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in which distributions can be installed."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(place)
    yield place
    for name in [name for name in sys.modules if name.endswith("_kinds")]:
        del sys.modules[name]


LIT = "- {name: l, kind: lamp, color: red}\n"


async def test_the_kinds_of_an_installed_distribution_are_like_built_in_ones(
    site: Path, write_app: WriteApp, capsys: pytest.CaptureFixture[str]
) -> None:
    """PG1, PG2: found by its entry points; created after what it refers to, changed, removed; in
    reports, in the tree and in the reference. What it raises refuses the change (RG5)."""
    install(site, "lights", {"lamp": "plugin_of_tests:LAMP"})
    source = SHELF.replace("BROKEN = 1 // 0", "")
    install(site, "shelves", {"shelf": "shelves_kinds:KIND"}, source)
    sys.modules.setdefault("plugin_of_tests", sys.modules[__name__])
    shelf = "- {name: a, kind: shelf, lamp: l}\n"
    path = write_app({"a.yaml": f"namespace: a\nentries:\n{shelf}{LIT}"})
    LOG.clear()
    async with open_app(path) as app:
        made = sys.modules["shelves_kinds"]
        assert LOG == ["add a:l red"]
        assert [*made.LOG] == [("add", made.Shelf("a:l"))]
        assert list(app.application.definitions) == ["a:l", "a:a"]
        change = {"id": "a:a", "kind": "shelf", "data": {"lamp": "l", "boards": 5}}
        await app.registry.changes().update(change).apply()
        heavy = {"id": "a:a", "kind": "shelf", "data": {"lamp": "l", "boards": 10}}
        before = app.registry.current_version().id
        with pytest.raises(ValueError, match="too heavy"):
            await app.registry.changes().update(heavy).apply()
        with pytest.raises(ProcessInvalid, match="a:l"):
            await app.registry.changes().delete("a:l").apply()  # the shelf refers to it
        assert app.registry.current_version().id == before
        await app.registry.changes().delete("a:a").apply()
        three, five = made.Shelf("a:l", 3), made.Shelf("a:l", 5)
        assert made.LOG[1:] == [("update", three, five), ("remove", five)]
    assert main(["tree", str(path)]) == 0
    assert "a:a shelf └── a:l lamp" in " ".join(capsys.readouterr().out.split())
    page = kinds_markdown(read_catalog())
    assert "### `shelf`\n\n| Field" in page
    assert "| `boards` | an integer | `3` | how many |" in page
    path = write_app({"a.yaml": f"namespace: a\nentries:\n{shelf}"})
    with pytest.raises(LoadError) as caught:
        read_application(path)
    assert str(caught.value).startswith("app/a.yaml:3:32: entry a:a: lamp: expected the id of a")


@pytest.mark.parametrize(
    ("distributions", "line"),
    [
        ({"one": {"shelf": "one_kinds:KIND"}, "two": {"shelf": "two_kinds:KIND"}},
         "kind shelf of two: expected a kind of its own, got one that is that of one"),
        ({"one": {"process.host": "one_kinds:KIND"}},
         "kind process.host of one: expected a kind of its own, got one that is built in"),
        ({"broken": {"shelf": "broken_kinds:KIND"}},
         "kind shelf of broken: expected a plugin that can be imported, got ZeroDivisionError: "
         "integer division or modulo by zero"),
        ({"one": {"shelf": "nowhere_kinds:KIND"}},
         "kind shelf of one: expected a plugin that can be imported, got ModuleNotFoundError: No "
         "module named 'nowhere_kinds'"),
        ({"one": {"shelf": "one_kinds:ShelfKind"}},
         "kind shelf of one: expected an object, got the class ShelfKind"),
    ],
)  # fmt: skip
def test_a_wrong_plugin_stops_the_start_with_the_names_of_the_distributions(
    distributions: dict[str, dict[str, str]], line: str, site: Path, write_app: WriteApp
) -> None:
    """PG3: whoever reads the report knows what to uninstall."""
    for name, points in distributions.items():
        source = SHELF if name == "broken" else SHELF.replace("BROKEN = 1 // 0", "")
        install(site, name, points, source)
    with pytest.raises(LoadError) as caught:
        read_application(write_app({"a.yaml": "namespace: a\nentries: []\n"}))
    said = str(caught.value)
    other = line.replace("of two:", "of one:").replace("that of one", "that of two")
    assert said in (f"(plugins):1:1: {line}", f"(plugins):1:1: {other}")


def test_a_model_is_an_attrs_class(write_app: WriteApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """PG2, PG3: said at the start, not at the first entry."""
    monkeypatch.setattr(LampKind, "model", dict)
    path = write_app({"a.yaml": "namespace: a\nentries: []\n"})
    with pytest.raises(LoadError, match="expected an attrs class as its model"):
        read_application(path, catalog=read_catalog([point("lamp", "LAMP")]))
