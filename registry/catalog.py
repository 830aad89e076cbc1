"""Which kinds there are: the built-in ones and those of other distributions.

Rules: PG1 (entry points of group `trio_actors.kinds`), PG3 (a built-in kind cannot be replaced; two
plugins for one kind or one that fails to import stop the start), HT1 (a kind whose extra is not
installed).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import attrs

from trio_actors.fields import shown

from .kind import Kind
from .kinds import BUILTIN, EXTRAS
from .problems import Position, Problem

GROUP = "trio_actors.kinds"
PLACE = "(plugins)"
PARTS = ("model", "references", "add", "update", "remove")


@attrs.define(slots=True)
class Catalog:
    """Kinds by name; a built-in one is imported when it is first used."""

    points: Mapping[str, EntryPoint]
    kinds: dict[str, Kind] = attrs.field(factory=dict)
    # Kinds that cannot be used and why.
    unusable: dict[str, str] = attrs.field(factory=dict)
    problems: tuple[Problem, ...] = ()

    def names(self) -> list[str]:
        """Every known kind, usable or not."""
        return sorted(self.points)

    def get(self, name: str) -> Kind | None:
        """The kind, or None when it is unknown or unusable (then `unusable` says why)."""
        if name not in self.points or name in self.unusable:
            return None
        if name not in self.kinds:
            try:
                self.kinds[name] = self.points[name].load()
            except ModuleNotFoundError as error:
                extra = EXTRAS.get((error.name or "").partition(".")[0])
                if extra is None:
                    raise
                remedy = f'pip install "trio-actors[{extra}]"'
                self.unusable[name] = f'the extra "{extra}" to be installed ({remedy})'
                return None
        return self.kinds[name]


def read_catalog(plugins: Iterable[EntryPoint] | None = None) -> Catalog:
    """The built-in kinds and the given plugins, by default all that are installed."""
    points = {name: EntryPoint(name, value, GROUP) for name, value in BUILTIN.items()}
    kinds: dict[str, Kind] = {}
    problems: list[Problem] = []
    for point in entry_points(group=GROUP) if plugins is None else plugins:
        if point.name in points:
            other = points[point.name]
            taken = "built in" if point.name in BUILTIN else f"that of {_owner(other)}"
            problems.append(_problem(point, "a kind of its own", f"one that is {taken}"))
            continue
        try:
            kind = point.load()
            flaw = _flaw(kind)
        except Exception as error:  # whatever a plugin does while it is imported is its failure
            got = f"{type(error).__name__}: {error}"
            problems.append(_problem(point, "a plugin that can be imported", got))
            continue
        if flaw is not None:
            problems.append(_problem(point, *flaw))
            continue
        points[point.name] = point
        kinds[point.name] = kind
    return Catalog(points, kinds, problems=tuple(problems))


def _flaw(kind: Any) -> tuple[str, str] | None:
    """What a plugin object has to be and is not (PG2)."""
    missing = [part for part in PARTS if not hasattr(kind, part)]
    if missing:
        return f"an object with {', '.join(PARTS)}", f"one without {', '.join(missing)}"
    if isinstance(kind, type):
        return "an object", f"the class {kind.__name__}"
    if not (isinstance(kind.model, type) and attrs.has(kind.model)):
        return "an attrs class as its model", shown(kind.model)
    return None


def _owner(point: EntryPoint) -> str:
    distribution: Any = point.dist
    return "an unknown distribution" if distribution is None else str(distribution.name)


def _problem(point: EntryPoint, expected: str, got: str) -> Problem:
    field = f"kind {point.name} of {_owner(point)}"
    return Problem(Position(PLACE), "", field, expected, got)
