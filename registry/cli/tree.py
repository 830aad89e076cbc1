"""`trio-actors tree`: what an application consists of, without starting it.

Rule: SU41 (the definition of an application's tree, the same refusals as `run`). The picture is
made in two steps: `outline` is data, `render` makes it a rich tree and `mermaid` a diagram.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from rich.markup import escape
from rich.tree import Tree

from ..definitions import Application
from ..kind import Definition

# Headings in the order shown, with the kinds below each.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("services", ("process.service", "supervisor")),
    ("hosts", ("process.host", "terminal.host")),
    ("processes", ("process.",)),
    ("functions", ("function.",)),
    ("libraries", ("library.",)),
    ("contracts", ("contract.",)),
    ("security", ("security.",)),
    ("queues and schedules", ("queue.", "schedule.")),
    ("http", ("http.",)),
    ("other entries", ("",)),
)


@attrs.frozen(slots=True)
class Branch:
    """One line of the tree and what hangs below it."""

    text: str
    note: str = ""
    below: tuple[Branch, ...] = ()


def outline(application: Application, name: str) -> Branch:
    """The tree of an application: its entries by subject, each with what it refers to."""
    left = dict(application.definitions)
    branches = []
    for heading, prefixes in SECTIONS:
        chosen = [d for d in left.values() if d.kind.startswith(prefixes)]
        for definition in chosen:
            del left[definition.id]
        if chosen:
            below = tuple(_entry(definition) for definition in chosen)
            branches.append(Branch(heading, str(len(below)), below))
    return Branch(name, f"{len(application.definitions)} entries", tuple(branches))


def _entry(definition: Definition) -> Branch:
    return Branch(
        definition.id,
        ", ".join((definition.kind, *_notes(definition))),
        tuple(
            Branch(
                reference.id,
                str(
                    reference.path[0]
                    if len(reference.path) == 1
                    else ".".join(map(str, reference.path))
                ),
            )
            for reference in definition.references
        ),
    )


def _notes(definition: Definition) -> Iterator[str]:
    lifecycle = getattr(definition.model, "lifecycle", None)
    if definition.kind == "process.service" and lifecycle is not None:
        yield "starts with the application" if lifecycle.auto_start else "started on request"
        attempts = lifecycle.restart.max_attempts
        yield f"at most {attempts} runs" if attempts else "restarted without limit"


def render(branch: Branch) -> Tree:
    """The tree for a terminal."""
    tree = Tree(_line(branch, "bold"))
    for section in branch.below:
        part = tree.add(_line(section, "bold cyan"))
        for entry in section.below:
            leaf = part.add(_line(entry, ""))
            for reference in entry.below:
                leaf.add(f"[dim]{escape(reference.note)}:[/] {escape(reference.text)}")
    return tree


def _line(branch: Branch, style: str) -> str:
    text = f"[{style}]{escape(branch.text)}[/]" if style else escape(branch.text)
    return f"{text}  [dim]{escape(branch.note)}[/]" if branch.note else text


def mermaid(application: Application) -> str:
    """The entries and their references as a mermaid flowchart."""
    names = {id: f"e{number}" for number, id in enumerate(application.definitions)}
    lines = ["flowchart LR"]
    lines += [
        f'  {names[d.id]}["{d.id}<br/><small>{d.kind}</small>"]'
        for d in application.definitions.values()
    ]
    lines += [
        f"  {names[d.id]} -->|{reference.path[-1]}| {names[reference.id]}"
        for d in application.definitions.values()
        for reference in d.references
    ]
    return "\n".join(lines)
