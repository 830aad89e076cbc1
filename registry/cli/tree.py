"""`trio-actors tree`: what an application consists of, without starting it.

Rules: SU41 (the definition, the same refusals as `run`), Y6 (start order). The picture is
made in two steps: `outline` is data, then a rich tree or an SVG of it; `mermaid` shows references.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.tree import Tree

from supervision import order, pictures
from supervision.pictures import Branch

from ..definitions import Application
from ..kind import Definition
from ..kinds.service import SERVICES
from ..kinds.supervisor import SupervisorModel
from ..problems import field_text

# Headings in the order shown, with the kinds below each.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("services", ("process.service",)),
    ("supervisors", ("supervisor",)),
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
        if heading == "services":
            branches += start_order(application)
    return Branch(name, f"{len(application.definitions)} entries", tuple(branches))


def start_order(application: Application) -> list[Branch]:
    """The steps in which services start (Y6); nothing to say if all start together."""
    services = {
        d.id: d.model.lifecycle for d in application.definitions.values() if d.kind in SERVICES
    }
    graph = {
        id: tuple(need for need in lifecycle.needs if need in services)
        for id, lifecycle in services.items()
    }
    batch = order.closure(graph, [id for id, lifecycle in services.items() if lifecycle.auto_start])
    steps = pictures.services_outline({id: graph[id] for id in batch})
    if len(steps) < 2:
        return []
    return [Branch("start order", "the stop is the reverse", tuple(steps))]


def _entry(definition: Definition) -> Branch:
    detail = ", ".join((definition.kind, *_notes(definition)))
    if isinstance(definition.model, SupervisorModel):
        below = pictures.outline(definition.model.spec, definition.id)
        return Branch(definition.id, f"{detail}, {below.detail}", below.children)
    references = (Branch(r.id, field_text(r.path)) for r in definition.references)
    return Branch(definition.id, detail, tuple(references))


def _notes(definition: Definition) -> Iterator[str]:
    lifecycle = getattr(definition.model, "lifecycle", None)
    if definition.kind in SERVICES and lifecycle is not None:
        yield "starts with the application" if lifecycle.auto_start else "started on request"
        attempts = lifecycle.restart.max_attempts
        if attempts:
            yield f"at most {attempts} runs"


def render(branch: Branch) -> Tree:
    """The tree for a terminal."""
    tree = Tree(_line(branch, "bold"))
    for section in branch.children:
        _add(tree, section, "bold cyan")
    return tree


def _add(tree: Tree, branch: Branch, style: str) -> None:
    part = tree.add(_line(branch, style))
    for child in branch.children:
        _add(part, child, "")


def _line(branch: Branch, style: str) -> str:
    text = f"[{style}]{escape(branch.name)}[/]" if style else escape(branch.name)
    return f"{text}  [dim]{escape(branch.detail)}[/]" if branch.detail else text


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
