"""From files to entries: namespaces, ids, meta of a whole file, duplicates, overrides.

Rules: I6, I7 (form of a file), I10, I13, LD3-LD5 (every problem, all together), I12 (overrides).

A duplicate id is one line at the second place that names the first: both places are reported, and
one mistake is one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

import attrs

from trio_actors.fields import nearest, shown

from .entry import STRUCTURE, Entry, Origin
from .files import defined_in_broken_text, find_files, read_document
from .overrides import Override, apply_overrides
from .problems import Path, Position, Problem, field_text
from .yaml_text import Document, Fault

FILE_FIELDS = ("namespace", "version", "meta", "entries")
VERSION = "1.0"


@attrs.frozen(slots=True)
class Loaded:
    """What the files of an application say, before anything is known about kinds."""

    root: FilePath
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    # Ids that a file which cannot be parsed seems to define: references to them are no news.
    uncertain: frozenset[str] = frozenset()


def load_files(
    path: str | os.PathLike[str],
    overrides: Iterable[Override] = (),
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Every entry of an application and everything that is wrong with its files. Never raises."""
    shown_path = os.fspath(path)
    try:
        folder = find_files(path)
    except OSError:
        at = Position(shown_path)
        expected = "a directory or one YAML file"
        problem = Problem(at, "", "", expected, "nothing of that name", _near_path(path))
        return Loaded(FilePath(path), (), (problem,))
    if not folder.files:
        problem = Problem(Position(shown_path), "", "", "at least one *.yaml or *.yml file", "none")
        return Loaded(folder.root, (), (problem,))
    entries: list[Entry] = []
    problems: list[Problem] = []
    uncertain: set[str] = set()
    for file in folder.files:
        document = read_document(folder, file, os.environ if environ is None else environ)
        if document.broken:
            uncertain |= defined_in_broken_text(file.read_text(encoding="utf-8", errors="replace"))
        reader = _FileReader(document)
        entries += reader.entries()
        problems += reader.problems
    problems += _duplicates(entries)
    entries, failed = apply_overrides(entries, overrides)
    problems += failed
    return Loaded(folder.root, tuple(entries), tuple(problems), frozenset(uncertain))


def _near_path(path: str | os.PathLike[str]) -> str | None:
    parent = FilePath(path).parent
    if not parent.is_dir():
        return None
    name = nearest(FilePath(path).name, (item.name for item in parent.iterdir()))
    return None if name is None else (parent / name).as_posix()


def _duplicates(entries: Iterable[Entry]) -> list[Problem]:
    first: dict[str, Entry] = {}
    problems = []
    for entry in entries:
        other = first.setdefault(entry.id, entry)
        if other is not entry:
            got = f'"{entry.id}" again, first at {other.value_at(("name",))}'
            at = entry.value_at(("name",))
            problems.append(Problem(at, entry.id, "name", "an id of its own", got))
    return problems


@attrs.define(slots=True)
class _FileReader:
    """Takes one document apart into entries, noting what is wrong on the way."""

    document: Document
    problems: list[Problem] = attrs.field(factory=list)
    # Where each entry begins, with its id, to tell whose a fault of the document is.
    places: dict[Path, str] = attrs.field(factory=dict)

    def entries(self) -> list[Entry]:
        """The entries of the document that have a usable id and kind."""
        found = [] if self.document.broken else self._entries()
        self.problems += [self._of_entry(fault) for fault in self.document.faults]
        return found

    def _entries(self) -> list[Entry]:
        data = self.document.data
        if not isinstance(data, dict):
            self._problem((), "a mapping with namespace and entries", _got(data))
            return []
        namespace = self._text(data, "namespace", ())
        if namespace is not None and ":" in namespace:
            self._problem(("namespace",), "a name without a colon", shown(namespace))
            namespace = None
        meta = self._mapping(data, "meta", ())
        if str(data.get("version", VERSION)) != VERSION:
            self._problem(("version",), f'"{VERSION}"', shown(data["version"]))
        if "entries" not in data:
            if "name" not in data and "kind" not in data:
                missing = "entries, or one entry with name and kind"
                self._problem((), missing, "nothing" if len(data) < 2 else "neither")
                return []
            own = {k: v for k, v in data.items() if k not in ("namespace", "version", "meta")}
            entry = self._entry({**own, "meta": meta}, (), namespace, {})
            return [] if entry is None else [entry]
        for key in data:
            if key not in FILE_FIELDS:
                self._unknown_file_field(key)
        items = data["entries"]
        if items is not None and not isinstance(items, list):
            self._problem(("entries",), "a list", shown(items))
            return []
        made = [
            self._entry(item, ("entries", index), namespace, meta)
            for index, item in enumerate(items or [])
        ]
        return [entry for entry in made if entry is not None]

    def _entry(
        self, item: Any, path: Path, namespace: str | None, file_meta: dict[str, Any]
    ) -> Entry | None:
        if not isinstance(item, dict):
            self._problem(path, "an entry with name and kind", _got(item))
            return None
        name = self._text(item, "name", path)
        if name is not None and namespace is not None:
            self.places[path] = f"{namespace}:{name}"
        kind = self._text(item, "kind", path)
        meta = {**file_meta, **self._mapping(item, "meta", path)}
        if name is None or kind is None or namespace is None:
            return None
        data = {key: value for key, value in item.items() if key not in STRUCTURE}
        return Entry(f"{namespace}:{name}", kind, meta, data, Origin(self.document, path))

    def _text(self, data: dict[str, Any], key: str, path: Path) -> str | None:
        value = data.get(key)
        if isinstance(value, str) and value:
            return value
        if key in data:
            self._problem((*path, key), "a text", shown(value))
        else:
            self._problem(path, f"a {key}", "nothing", field=key)
        return None

    def _mapping(self, data: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
        value = data.get(key)
        if isinstance(value, dict):
            return value
        if value is not None:
            self._problem((*path, key), "a mapping", shown(value))
        return {}

    def _unknown_file_field(self, key: str) -> None:
        expected = "only namespace, version, meta and entries beside a list of entries"
        at = self.document.key_at((key,))
        hint = nearest(key, FILE_FIELDS)
        self.problems.append(Problem(at, "", key, expected, f'"{key}"', hint))

    def _problem(self, path: Path, expected: str, got: str, *, field: str | None = None) -> None:
        if path in self.document.unknown:
            return
        fault = Fault(self.document.value_at(path), path, expected, got)
        problem = self._of_entry(fault)
        self.problems.append(problem if field is None else attrs.evolve(problem, field=field))

    def _of_entry(self, fault: Fault) -> Problem:
        """The fault as a problem of the entry around it, its path counted from there."""
        prefix = fault.path[:2] if fault.path[:1] == ("entries",) else ()
        entry = self.places.get(prefix, "")
        path = fault.path[len(prefix) :] if entry else fault.path
        return Problem(
            fault.position, entry, field_text(path), fault.expected, fault.got, fault.hint
        )


def _got(value: Any) -> str:
    return "nothing" if value is None else shown(value)
