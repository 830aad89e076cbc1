"""An entry: id, kind, meta and data, and where each of its fields was written.

Rules: I7 (structure and data), section 11 of functions.md (the same four parts at run time).
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import attrs

from .ids import EntryId, parse_id
from .problems import Path, Position
from .yaml_text import Document

STRUCTURE = ("name", "kind", "meta")


@attrs.frozen(slots=True, eq=False)
class Origin:
    """Where an entry was written: a file and the path of the entry inside it."""

    document: Document
    prefix: Path = ()
    # Fields that came from a `--set` option instead.
    overridden: dict[Path, Position] = attrs.field(factory=dict)

    def value_at(self, path: Path) -> Position:
        """Where the value of this field of the entry stands."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.overridden:
                return self.overridden[path[:length]]
        values, key = self.document.values, path[:2]
        own = (*self.prefix, *key) in values
        if len(path) > 1 and path[0] == "meta" and key in values and not own:
            return self.document.value_at(path)  # from the meta of the whole file
        return self.document.value_at((*self.prefix, *path))

    def key_at(self, path: Path) -> Position:
        """Where the key of this field of the entry stands."""
        at = self.overridden.get(path) or self.document.keys.get((*self.prefix, *path))
        return at or self.value_at(path)

    def unknown(self) -> Iterator[Path]:
        """Fields whose value could not be had, which has been reported."""
        for path in self.document.unknown:
            if path[: len(self.prefix)] == self.prefix:
                yield path[len(self.prefix) :]

    def text_source(self, path: Path) -> tuple[str, int]:
        """File and line of the first line of the text at `path`; scripts report these lines."""
        full = (*self.prefix, *path)
        if path in self.overridden:
            return self.overridden[path].file, 1
        if full in self.document.included:
            return self.document.included[full], 1
        at = self.document.value_at(full)
        return self.document.blocks.get(full, (at.file, at.line))


@attrs.frozen(slots=True)
class Entry:
    """One definition of an application, as data. Equal when id, kind, meta and data are."""

    id: str
    kind: str
    meta: dict[str, Any] = attrs.field(factory=dict)
    data: dict[str, Any] = attrs.field(factory=dict)
    origin: Origin | None = attrs.field(default=None, eq=False, repr=False)

    def copied(self) -> Entry:
        """An equal entry whose meta and data somebody else may change (RG13)."""
        return Entry(self.id, self.kind, deepcopy(self.meta), deepcopy(self.data), self.origin)

    @property
    def parts(self) -> EntryId:
        """Namespace and name."""
        return parse_id(self.id)

    @property
    def namespace(self) -> str:
        """The part of the id before the first colon."""
        return parse_id(self.id).ns

    def value_at(self, path: Path) -> Position:
        """Where a field's value was written."""
        return self.origin.value_at(path) if self.origin else Position("(change)")

    def key_at(self, path: Path) -> Position:
        """Where a field's key was written."""
        return self.origin.key_at(path) if self.origin else Position("(change)")

    def text_source(self, path: Path) -> tuple[str, int]:
        """File and first line of a text field, for scripts."""
        return self.origin.text_source(path) if self.origin else (self.id, 1)
