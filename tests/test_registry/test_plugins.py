"""Kinds of other distributions: PG1-PG3, HT1 for kinds whose extra is missing."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs
import pytest

from registry import App, BaseKind, Definition, LoadError, open_app, read_application, setting
from registry.app import start_application
from registry.catalog import GROUP, read_catalog
from trio_actors import ProcessUnavailable

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


async def test_installed_plugins_are_found(write_app: WriteApp) -> None:
    """PG1: by default the entry points of all installed distributions are read."""
    async with open_app(write_app({"a.yaml": "namespace: a\nentries: []\n"})) as app:
        assert "process.host" in app.application.catalog.names()
