"""Entries, operations and snapshots as they are given and got: checked, and copied (RG13).

Rules: section 11 of functions.md (the forms of entries and operations), RG6 (problems), RG13.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from trio_actors import ErrorKind, ProcessError, make_error

from .changes import Op, OpKind, State
from .entry import Entry
from .ids import id_text
from .problems import Problem, problem_details
from .query import find
from .versions import Version


def entry_of(value: Any) -> Entry:
    """An entry from its run-time form `{id, kind, meta, data}`. Raises: ProcessInvalid."""
    if isinstance(value, Entry):
        return value.copied()
    if not isinstance(value, Mapping):
        raise make_error(ErrorKind.INVALID, "an entry is a table with id, kind, meta and data")
    id, kind = id_text(value.get("id")), value.get("kind")
    meta, data = value.get("meta") or {}, value.get("data") or {}
    if not id or ":" not in id:
        raise make_error(ErrorKind.INVALID, "entry.id: expected namespace:name")
    if not isinstance(kind, str) or not kind:
        raise make_error(ErrorKind.INVALID, f"entry {id}: kind: expected a text")
    for name, part in (("meta", meta), ("data", data)):
        if not isinstance(part, Mapping):
            raise make_error(ErrorKind.INVALID, f"entry {id}: {name}: expected a table")
    return Entry(id, kind, dict(meta), dict(data)).copied()


def copies(ops: Iterable[Op]) -> list[Op]:
    """Operations whose entries nobody else has (RG13)."""
    return [Op(op.kind, op.entry.copied()) for op in ops]


@attrs.frozen(slots=True)
class Snapshot:
    """The entries of one version; it never changes (RG13), so it gives copies."""

    version: Version
    state: State = attrs.field(repr=False)

    def entries(self) -> list[Entry]:
        """All entries, sorted by id."""
        return self.find({})

    def get(self, id: str) -> Entry:
        """One entry. Raises: ProcessNotFound."""
        entry = self.state.get(id)
        if entry is None:
            raise make_error(ErrorKind.NOT_FOUND, f"entry not found: {id}")
        return entry.copied()

    def find(self, query: Mapping[str, Any]) -> list[Entry]:
        """The entries that fit a filter, sorted by id (RG1-RG4)."""
        return [entry.copied() for entry in find(self.state.values(), query)]

    def namespace(self, name: str) -> list[Entry]:
        """The entries of a namespace, sorted by id."""
        return self.find({"namespace": name})


def no_files(data: Mapping[str, Any]) -> Iterable[str]:
    """What a kind without `files` opens."""
    return ()


def op_of(value: Mapping[str, Any]) -> Op:
    """An operation from `{kind, entry}`. Raises: ProcessInvalid."""
    kind, entry = OpKind(value["kind"]), value["entry"]
    if kind is OpKind.DELETE:
        return Op(kind, Entry(str(entry["id"]), ""))
    return Op(kind, entry_of(entry))


def table(entry: Entry) -> dict[str, Any]:
    """An entry as plain data, a copy."""
    entry = entry.copied()
    return {"id": entry.id, "kind": entry.kind, "meta": entry.meta, "data": entry.data}


def refusal(problems: Iterable[Problem]) -> ProcessError:
    """The error of a change that is wrong: all its problems, the kind of the first (RG6)."""
    found = sorted(problems)
    text = "\n".join(str(problem) for problem in found)
    details = {"problems": [problem_details(problem) for problem in found]}
    return make_error(found[0].kind, text, details=details)
