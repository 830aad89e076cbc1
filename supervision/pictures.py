"""Definitions as pictures and as source: text, mermaid, SVG, Python, YAML data.

Rules: SU2 (a tree defined in one language can be printed as the other), SU41 (``tree`` shows an
application without starting it). Pure functions: specs in, text out.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from attrs import frozen

from supervision import order
from supervision.backoff import Backoff
from supervision.specs import (
    BACKOFF_FIELDS,
    CHILD_FIELDS,
    SUPERVISOR_FIELDS,
    ChildSpec,
    Limit,
    SupervisorSpec,
)
from supervision.terms import ChildType
from trio_actors import format_duration


@frozen
class Branch:
    """One box of a picture."""

    name: str
    detail: str
    children: tuple["Branch", ...] = ()


def outline(spec: SupervisorSpec, name: str = "supervisor") -> Branch:
    """The tree of a definition as boxes."""
    detail = f"{spec.strategy}, {spec.intensity} in {_seconds(spec.period)}"
    if spec.auto_shutdown != "never":
        detail += f", auto_shutdown {spec.auto_shutdown}"
    return Branch(name, detail, tuple(_child_outline(child) for child in spec.children))


def _child_outline(child: ChildSpec) -> Branch:
    words = [str(child.restart)]
    if child.significant:
        words.append("significant")
    if isinstance(child.target, SupervisorSpec):
        below = outline(child.target, child.id)
        return Branch(child.id, f"{', '.join(words)}; {below.detail}", below.children)
    return Branch(child.id, f"{target_name(child.target)}; {', '.join(words)}")


def services_outline(graph: order.Graph) -> list[Branch]:
    """Services as boxes, in start order by layers; the detail says what each depends on.

    Raises: DependencyCycle.
    """
    return [
        Branch(
            f"step {number}",
            "starts together",
            tuple(Branch(id, _needs(graph[id])) for id in layer),
        )
        for number, layer in enumerate(order.layers(graph), 1)
    ]


def _needs(needs: Sequence[str]) -> str:
    return f"after {', '.join(needs)}" if needs else ""


# ---- text ----------------------------------------------------------------------------------------


def text(root: Branch) -> str:
    """A picture of letters."""
    lines = [_label(root)]
    _text_below(root.children, "", lines)
    return "\n".join(lines)


def _text_below(children: Sequence[Branch], indent: str, lines: list[str]) -> None:
    for number, child in enumerate(children, 1):
        last = number == len(children)
        lines.append(f"{indent}{'└─ ' if last else '├─ '}{_label(child)}")
        _text_below(child.children, indent + ("   " if last else "│  "), lines)


def _label(branch: Branch) -> str:
    return f"{branch.name}  ({branch.detail})" if branch.detail else branch.name


# ---- mermaid -------------------------------------------------------------------------------------


def mermaid(roots: Branch | Iterable[Branch]) -> str:
    """A mermaid flowchart."""
    lines = ["flowchart TD"]
    numbers = iter(range(1_000_000))

    def add(branch: Branch) -> str:
        key = f"n{next(numbers)}"
        label = _quoted(branch.name) + (f"<br/>{_quoted(branch.detail)}" if branch.detail else "")
        lines.append(f'    {key}["{label}"]')
        for child in branch.children:
            lines.append(f"    {key} --> {add(child)}")
        return key

    for root in [roots] if isinstance(roots, Branch) else roots:
        add(root)
    return "\n".join(lines) + "\n"


def mermaid_graph(graph: order.Graph) -> str:
    """Dependencies as a mermaid flowchart: an arrow leads to what starts afterwards."""
    keys = {id: f"n{number}" for number, id in enumerate(graph)}
    lines = ["flowchart LR", *(f'    {key}["{_quoted(id)}"]' for id, key in keys.items())]
    lines += [
        f"    {keys[need]} --> {keys[id]}"
        for id, needs in graph.items()
        for need in needs
        if need in keys
    ]
    return "\n".join(lines) + "\n"


def _quoted(label: str) -> str:
    return escape(label, quote=False).replace('"', "#quot;")


# ---- SVG -----------------------------------------------------------------------------------------

CELL: Final = 8  # pixels per letter
HEIGHT: Final = 44
GAP: Final = 18
MARGIN: Final = 10
HEADING: Final = ' font-weight="bold"'


def svg(root: Branch) -> str:
    """A picture without scripts or outside references: an indented tree of boxes."""
    rows: list[tuple[Branch, int, int | None]] = []  # box, depth, row of its parent

    def add(branch: Branch, depth: int, parent: int | None) -> None:
        number = len(rows)
        rows.append((branch, depth, parent))
        for child in branch.children:
            add(child, depth + 1, number)

    add(root, 0, None)
    boxes, lines, width = [], [], 0
    for number, (branch, depth, parent) in enumerate(rows):
        x, y = MARGIN + depth * 36, MARGIN + number * (HEIGHT + GAP // 2)
        size = max(len(branch.name), len(branch.detail), 8) * CELL + 16
        width = max(width, x + size)
        boxes.append(
            f'<rect x="{x}" y="{y}" width="{size}" height="{HEIGHT}" rx="5"'
            ' fill="#f6f8fa" stroke="#57606a"/>'
            f'<text x="{x + 8}" y="{y + 18}" font-weight="bold">{escape(branch.name)}</text>'
            f'<text x="{x + 8}" y="{y + 35}" fill="#57606a">{escape(branch.detail)}</text>'
        )
        if parent is not None:
            top = MARGIN + parent * (HEIGHT + GAP // 2) + HEIGHT
            middle = y + HEIGHT // 2
            lines.append(f'<path d="M{x - 18} {top}V{middle}H{x}" fill="none" stroke="#57606a"/>')
    height = MARGIN * 2 + len(rows) * (HEIGHT + GAP // 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + MARGIN}" height="{height}"'
        ' font-family="monospace" font-size="13">\n'
        '<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(lines + boxes)
        + "\n</svg>\n"
    )


def table_svg(table: str) -> str:
    """Lines of text as a picture, the first one as headings."""
    lines = table.splitlines()
    width = max(map(len, lines), default=0) * CELL + 2 * MARGIN
    texts = [
        f'<text x="{MARGIN}" y="{MARGIN + 20 * number}" xml:space="preserve"'
        f"{HEADING if number == 1 else ''}>{escape(line)}</text>"
        for number, line in enumerate(lines, 1)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}"'
        f' height="{20 * len(lines) + 2 * MARGIN}" font-family="monospace" font-size="13">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(texts) + "\n</svg>\n"
    )


# ---- source --------------------------------------------------------------------------------------


def yaml_data(spec: SupervisorSpec) -> dict[str, Any]:
    """The definition as plain data for YAML: fields that differ from their defaults (SU2).

    A target that is no registry id appears as its name.
    """
    defaults = {name: row.default for name, row in SUPERVISOR_FIELDS.items()}
    data = _given(spec, defaults, skip={"children"})
    data["children"] = [_child_data(child, spec) for child in spec.children]
    return data


def _child_data(child: ChildSpec, parent: SupervisorSpec) -> dict[str, Any]:
    data: dict[str, Any] = {"id": child.id}
    nested = isinstance(child.target, SupervisorSpec)
    if nested:
        data["supervisor"] = yaml_data(child.target)
    else:
        data["process"] = target_name(child.target)
    supervises = child.type is ChildType.SUPERVISOR
    defaults = {
        **{name: row.default for name, row in CHILD_FIELDS.items()},
        "type": ChildType.SUPERVISOR if nested else ChildType.WORKER,
        "shutdown": Limit.INFINITY if supervises else CHILD_FIELDS["shutdown"].default,
        "ready": nested and supervises,
    }
    skip = {"id", "process", "target", "supervisor", "backoff"}
    data |= _given(child, defaults, skip)
    if child.backoff != parent.backoff:
        data["backoff"] = _plain(child.backoff)
    return data


def _given(spec: Any, defaults: Mapping[str, Any], skip: set[str]) -> dict[str, Any]:
    return {
        name: _plain(getattr(spec, name), name)
        for name, default in defaults.items()
        if name not in skip and getattr(spec, name) != default
    }


_DURATIONS: Final = {"period", "shutdown", "start_timeout"}


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, Backoff):
        values = {key: getattr(value, key) for key in BACKOFF_FIELDS}
        changed = {k: v for k, v in values.items() if v != BACKOFF_FIELDS[k].default}
        kept = {"backoff_factor", "jitter"}
        return {k: v if k in kept else _seconds(v) for k, v in changed.items()}
    if name in _DURATIONS and isinstance(value, (int, float)):
        return _seconds(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, str) else value


def python_source(spec: SupervisorSpec, indent: str = "") -> str:
    """The definition as a Python expression (SU2); registry ids stay texts."""
    data = yaml_data(spec)
    inner = indent + "    "
    lines = [f"{inner}{name}={value!r}," for name, value in data.items() if name != "children"]
    children = [
        f"{inner}    {_child_source(child, row, inner + '    ')},"
        for child, row in zip(spec.children, data["children"], strict=True)
    ]
    lines += [f"{inner}children=[", *children, f"{inner}],"]
    return "\n".join(["Supervisor(", *lines, f"{indent})"])


def _child_source(child: ChildSpec, data: dict[str, Any], indent: str) -> str:
    if isinstance(child.target, SupervisorSpec):
        target = python_source(child.target, indent)
    elif isinstance(child.target, str):
        target = repr(child.target)
    else:
        target = getattr(child.target, "__qualname__", target_name(child.target))
    args = [repr(arg) for arg in data.get("args", ())]
    skip = {"id", "process", "supervisor", "args"}
    fields = [f"{name}={value!r}" for name, value in data.items() if name not in skip]
    return f"child({', '.join([repr(child.id), target, *args, *fields])})"


def target_name(target: Any) -> str:
    """What a child runs, as text."""
    if isinstance(target, str):
        return target
    if isinstance(target, SupervisorSpec):
        return "supervisor"
    known = getattr(target, "id", None)
    if isinstance(known, str):
        return known
    name = getattr(target, "__qualname__", type(target).__qualname__)
    return f"{getattr(target, '__module__', '?')}:{name}"


def _seconds(seconds: float) -> str:
    return format_duration(round(seconds * 1_000_000_000))
