"""Changes of a set of entries as values: applied, compared, squashed, inverted. Pure.

A *state* maps ids to entries; an operation creates, updates or deletes one entry. The laws
(tests/test_registry/test_changes.py), for a state s and operations that apply to it:

    apply(s, delta(s, t)) = t                delta(s, s) = ()
    apply(s, squash(ops)) = apply(s, ops)    squash(squash(ops)) = squash(ops)
    apply(apply(s, ops), invert(s, ops)) = s

Rules: RG5, RG6 (what is refused, with which kind), section 11 (`build_delta`, `ops`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import assert_never

import attrs

from trio_actors import ErrorKind, ProcessError, make_error

from .entry import Entry

State = Mapping[str, Entry]


class OpKind(StrEnum):
    """What an operation does; the texts are those of the events (RG15)."""

    CREATE = "entry.create"
    UPDATE = "entry.update"
    DELETE = "entry.delete"


@attrs.frozen(slots=True)
class Op:
    """One operation. A delete carries the entry only for its id."""

    kind: OpKind
    entry: Entry

    @property
    def id(self) -> str:
        """The entry concerned."""
        return self.entry.id


def apply(state: State, ops: Iterable[Op]) -> dict[str, Entry]:
    """The state after the operations, one after the other.

    Raises: ProcessError as RG6 says; the state given is never changed.
    """
    result = dict(state)
    for op in ops:
        refusal = refused(result, op)
        if refusal is not None:
            raise refusal
        if op.kind is OpKind.DELETE:
            del result[op.id]
        else:
            result[op.id] = op.entry
    return result


def refused(state: State, op: Op) -> ProcessError | None:
    """Why an operation does not fit the state, or None. Rule: RG6."""
    old = state.get(op.id)
    match op.kind:
        case OpKind.CREATE:
            if old is not None:
                return make_error(ErrorKind.CONFLICT, f"entry exists already: {op.id}")
        case OpKind.UPDATE:
            if old is None:
                return make_error(ErrorKind.NOT_FOUND, f"entry not found: {op.id}")
            if old.kind != op.entry.kind:
                text = f"the kind of {op.id} cannot change from {old.kind} to {op.entry.kind}"
                return make_error(ErrorKind.INVALID, f"{text}; delete and create it")
        case OpKind.DELETE:
            if old is None:
                return make_error(ErrorKind.NOT_FOUND, f"entry not found: {op.id}")
        case _:
            assert_never(op.kind)
    return None


def delta(old: State, new: State) -> tuple[Op, ...]:
    """The operations that lead from one state to another: deletes, then the others, by id.

    An entry whose kind differs is deleted and created.
    """
    deletes = [
        Op(OpKind.DELETE, entry)
        for id, entry in sorted(old.items())
        if id not in new or new[id].kind != entry.kind
    ]
    others = [
        Op(OpKind.UPDATE if id in old and old[id].kind == entry.kind else OpKind.CREATE, entry)
        for id, entry in sorted(new.items())
        if old.get(id) != entry
    ]
    return (*deletes, *others)


def squash(ops: Iterable[Op]) -> tuple[Op, ...]:
    """The same change with at most one operation per id, or a delete and a create (new kind).

    It takes operations that apply to some state, and has the same effect on every such state.
    Order: deletes, then the others, by id, as `delta`.
    """
    before: dict[str, Op] = {}  # the first operation tells whether the id existed
    after: dict[str, Entry | None] = {}
    kinds: dict[str, str] = {}
    for op in ops:
        before.setdefault(op.id, op)
        if op.kind is not OpKind.CREATE:
            kinds.setdefault(op.id, op.entry.kind)
        after[op.id] = None if op.kind is OpKind.DELETE else op.entry
    deletes: list[Op] = []
    others: list[Op] = []
    for id, first in sorted(before.items()):
        existed, entry = first.kind is not OpKind.CREATE, after[id]
        if entry is None:
            if existed:
                deletes.append(Op(OpKind.DELETE, first.entry))
        elif existed and entry.kind == kinds[id]:
            others.append(Op(OpKind.UPDATE, entry))
        else:
            if existed:
                deletes.append(Op(OpKind.DELETE, first.entry))
            others.append(Op(OpKind.CREATE, entry))
    return (*deletes, *others)


def invert(state: State, ops: Iterable[Op]) -> tuple[Op, ...]:
    """The operations that undo others which were applied to `state`."""
    undo: list[Op] = []
    current = dict(state)
    for op in ops:
        old = current.get(op.id)
        current = apply(current, (op,))
        if old is None:
            undo.append(Op(OpKind.DELETE, op.entry))
        elif op.kind is OpKind.DELETE:
            undo.append(Op(OpKind.CREATE, old))
        else:
            undo.append(Op(OpKind.UPDATE, old))
    return tuple(reversed(undo))
