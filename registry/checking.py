"""Entries into definitions: kinds, fields, references, order, and every problem of all of them.

Pure but for one thing: a Python source is imported to see that it is there (DE9). A load and a
change at run time take the same way (RG5).

Rules: LD3-LD6, I10, I13, PG2, Y7. A mistake is reported once: an entry whose kind is unknown or
whose fields are wrong still counts as being there, so what refers to it is not called dangling, and
nothing is said of a value that could not be had (a missing file, a variable that is not set).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from trio_actors.fields import nearest, shown

from .catalog import Catalog
from .entry import Entry
from .kind import Definition, Definitions, Finding, Kind
from .order import creation_order
from .problems import Path, Position, Problem, field_text
from .references import Reference, references_of, resolved
from .structure import Mistake, structure, structure_known


@attrs.frozen(slots=True)
class Checked:
    """Definitions in order of creation, and what is wrong; usable only without problems."""

    definitions: Mapping[str, Definition]
    problems: tuple[Problem, ...]


def check(
    entries: Iterable[Entry], catalog: Catalog, uncertain: frozenset[str] = frozenset()
) -> Checked:
    """Check all entries together.

    Args:
        uncertain: ids that may exist although nothing is known about them.
    """
    all_entries = list(entries)
    unique = {entry.id: entry for entry in reversed(all_entries)}
    problems: list[Problem] = list(catalog.problems)
    definitions: dict[str, Definition] = {}
    for entry in all_entries:  # of duplicates too: each has its own mistakes (I13)
        made = _define(entry, catalog)
        if not isinstance(made, Definition):
            problems += made
        elif unique[entry.id] is entry:
            definitions[entry.id] = made
    for definition in definitions.values():
        problems += _check_references(definition, unique, catalog, uncertain)
    needs = {d.id: list(_needs(d, definitions, catalog)) for d in definitions.values()}
    order, cycles = creation_order(needs)
    problems += [_cycle_problem(cycle, definitions) for cycle in cycles]
    for definition in definitions.values():
        problems += _findings(definition, definitions, catalog)
    told = {(e.id, field_text(p)) for e in all_entries if e.origin for p in e.origin.unknown()}
    new = {problem for problem in problems if (problem.entry, problem.field) not in told}
    return Checked({id: definitions[id] for id in order}, tuple(sorted(new)))


def _define(entry: Entry, catalog: Catalog) -> Definition | list[Problem]:
    kind = catalog.get(entry.kind) if isinstance(entry.kind, str) else None
    if kind is None:
        return [_unknown_kind(entry, catalog)]
    model = _model(entry, kind)
    meta_model = getattr(kind, "meta_model", None)
    meta = None if meta_model is None else structure_known(entry.meta, meta_model)
    problems = [_of_mistake(entry, mistake, ()) for mistake in _mistakes_in(model)]
    problems += [_of_mistake(entry, mistake, ("meta",)) for mistake in _mistakes_in(meta)]
    if problems:
        return problems
    model, meta = resolved(model, entry.namespace), _resolved_meta(meta, entry.namespace)
    references = tuple(kind.references(model))
    if meta is not None:
        references += references_of(meta, ("meta",))
    return Definition(entry, model, meta, references)


def _model(entry: Entry, kind: Kind) -> Any:
    read = getattr(kind, "read", None)
    if read is not None:
        return read(entry)
    free = getattr(kind, "free_data", False)
    return kind.model() if free else structure(entry.data, kind.model)


def _resolved_meta(meta: Any, namespace: str) -> Any:
    return None if meta is None else resolved(meta, namespace)


def _mistakes_in(made: Any) -> list[Mistake]:
    return made if isinstance(made, list) else []


def _of_mistake(entry: Entry, mistake: Mistake, prefix: Path) -> Problem:
    path = (*prefix, *mistake.path)
    at = entry.key_at(path) if mistake.is_key else entry.value_at(path)
    if mistake.is_missing:
        at = entry.value_at(path[:-1])
    name = path[-1] if mistake.is_key and path else _quoted(mistake.got)
    hint = mistake.hint or nearest(name, mistake.choices)
    return Problem(at, entry.id, field_text(path), mistake.expected, mistake.got, hint)


def _quoted(got: str) -> str | None:
    """The first text in quotation marks: what was written where something else was expected."""
    _, _, rest = got.partition('"')
    text, end, _ = rest.partition('"')
    return text if end else None


def _unknown_kind(entry: Entry, catalog: Catalog) -> Problem:
    at = entry.value_at(("kind",))
    got = f'"{entry.kind}"'
    if entry.kind in catalog.unusable:
        return Problem(at, entry.id, "kind", catalog.unusable[entry.kind], "nothing of it")
    hint = nearest(entry.kind, catalog.names())
    return Problem(at, entry.id, "kind", "a known kind", got, hint)


def _check_references(
    definition: Definition,
    entries: Mapping[str, Entry],
    catalog: Catalog,
    uncertain: frozenset[str],
) -> Iterable[Problem]:
    for reference in definition.references:
        target = entries.get(reference.id)
        if target is None:
            if reference.id not in uncertain:
                got = f'"{reference.id}", which does not exist'
                yield _reference_problem(definition, reference, entries, got)
        elif target.kind in catalog.points and not reference.ref.accepts(target.kind):
            got = f'"{reference.id}", a {target.kind}'
            yield _reference_problem(definition, reference, entries, got)


def _reference_problem(
    definition: Definition, reference: Reference, entries: Mapping[str, Entry], got: str
) -> Problem:
    possible = (entry.id for entry in entries.values() if reference.ref.accepts(entry.kind))
    return Problem(
        definition.entry.value_at(reference.path),
        definition.id,
        field_text(reference.path),
        str(reference.ref),
        got,
        nearest(reference.id, possible),
    )


def _needs(definition: Definition, others: Definitions, catalog: Catalog) -> Iterable[str]:
    yield from (reference.id for reference in definition.references)
    more = getattr(catalog.get(definition.kind), "needs", None)
    if more is not None:
        yield from more(definition, others)


def _cycle_problem(cycle: list[str], definitions: Definitions) -> Problem:
    """One problem per cycle, at the reference with which its first entry leads into it."""
    first = definitions[cycle[0]]
    follower = cycle[1] if len(cycle) > 1 else cycle[0]
    path = next((ref.path for ref in first.references if ref.id == follower), ())
    got = " -> ".join([*cycle, cycle[0]])
    at = first.entry.value_at(path)
    return Problem(at, first.id, field_text(path), "references without a cycle", got)


def _findings(
    definition: Definition, definitions: Definitions, catalog: Catalog
) -> Iterable[Problem]:
    find = getattr(catalog.get(definition.kind), "findings", None)
    found: Iterable[Finding] = find(definition, definitions) if find is not None else ()
    for finding in found:
        is_key = bool(finding.path) and finding.got == shown(finding.path[-1])
        at = (definition.entry.key_at if is_key else definition.entry.value_at)(finding.path)
        if finding.place is not None:
            at = Position(*finding.place)
        hint = nearest(_quoted(finding.got), finding.choices)
        field = field_text(finding.path)
        yield Problem(at, definition.id, field, finding.expected, finding.got, hint, finding.kind)
