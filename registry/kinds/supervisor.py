"""`supervisor`: a tree of processes, restarted by a strategy.

The fields are read by the package supervision, which has the only description of them (SU1, SU2);
here their references are found and completed, and the supervisor becomes something to spawn: as the
process of a service, on a host, or below another supervisor.

Rules: supervision.md section 1, SU1, SU2, GC8, LD6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs

from supervision import (
    MILLISECONDS,
    Problem,
    SpecInvalid,
    SupervisorSpec,
    SupervisorTarget,
    read_supervisor,
)

from ..entry import Entry
from ..fields import Ref, Seconds, Within, setting
from ..ids import id_text, resolve
from ..kind import BaseKind, Definition
from ..problems import Path
from ..references import Reference
from ..structure import Mistake

if TYPE_CHECKING:
    from ..app import App

PROCESS = Ref(("process.lua", "process.py", "supervisor"))
HOST = Ref(("process.host", "terminal.host"))
REFERENCES: Mapping[str, Ref] = {"process": PROCESS, "host": HOST}


@attrs.frozen(slots=True)
class SupervisorModel:
    """A supervisor that was read, and what its children name."""

    spec: SupervisorSpec
    references: tuple[Reference, ...] = ()


@attrs.frozen(slots=True)
class SupervisorFields:
    """The fields of an entry, for the documentation; a test compares them with supervision's."""

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"] = setting(
        "who is restarted when a child ends", default="one_for_one"
    )
    intensity: Annotated[int, Within(0)] = setting(
        "more restarts than this within `period` end the supervisor", default=1
    )
    period: Seconds = setting("the window of `intensity`", default=5.0)
    auto_shutdown: Literal["never", "any_significant", "all_significant"] = setting(
        "whether ends of `significant` children end the supervisor", default="never"
    )
    backoff: dict[str, Any] | None = setting(
        "[delays before restarts](supervision.md#fields-of-a-backoff); none: at once", default=None
    )
    max_children: Annotated[int, Within(0)] = setting(
        "of `simple_one_for_one`; 0 = no limit", default=0
    )
    children: tuple[Any, ...] = setting(
        "in start order, each with [its fields](supervision.md#fields-of-a-child): `id`, and "
        "`process` or a nested `supervisor`, ...",
        default=(),
    )


def completed(data: Any, namespace: str) -> Any:
    """The data with every reference written in full. Rule: GC8."""
    if isinstance(data, Mapping):
        return {
            key: resolve(id_text(value) or "", namespace)
            if key in REFERENCES and id_text(value)
            else completed(value, namespace)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [completed(item, namespace) for item in data]
    return data


def references_in(data: Any, path: Path = ()) -> Iterator[Reference]:
    """The processes and hosts that children name, at any depth."""
    children = data.get("children") if isinstance(data, Mapping) else None
    for index, child in enumerate(children if isinstance(children, list | tuple) else ()):
        if not isinstance(child, Mapping):
            continue
        where = (*path, "children", index)
        for key, ref in REFERENCES.items():
            if isinstance(child.get(key), str):
                yield Reference((*where, key), child[key], ref)
        yield from references_in(child.get("supervisor"), (*where, "supervisor"))


class SupervisorKind(BaseKind):
    """`supervisor`."""

    model = SupervisorModel
    documented = SupervisorFields
    doc = "A supervisor: children that are started in order and restarted by a strategy."

    def read(self, entry: Entry) -> SupervisorModel | list[Mistake]:
        """The checked tree, or every wrong field of it (SU1)."""
        data = completed(entry.data, entry.namespace)
        try:
            spec = read_supervisor(data, number_unit=MILLISECONDS)
        except SpecInvalid as error:
            return [_mistake(problem) for problem in error.problems]
        return SupervisorModel(spec, tuple(references_in(data)))

    def references(self, model: SupervisorModel) -> Iterable[Reference]:
        """What its children run, and where."""
        return model.references

    async def add(self, app: App, definition: Definition) -> None:
        """The supervisor can be spawned by its id."""
        app.code.targets[definition.id] = SupervisorTarget(definition.model.spec, definition.id)

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Supervisors that start from now on are the new one."""
        await self.add(app, new)

    async def remove(self, app: App, definition: Definition) -> None:
        """The id is unknown; running supervisors go on."""
        del app.code.targets[definition.id]


def _mistake(problem: Problem) -> Mistake:
    """The problem as this package reports it: quoted as JSON, unknown fields at their key."""
    path, found = problem.path, problem.found
    is_key = bool(path) and found == repr(path[-1])
    if found.startswith("'") and found.endswith("'"):
        found = f'"{found[1:-1]}"'
    return Mistake(path, problem.expected, found, is_key=is_key, hint=_word(problem.hint))


def _word(hint: str) -> str | None:
    """The name inside `did you mean 'x'?`."""
    parts = hint.split("'")
    return parts[1] if len(parts) == 3 else None


SUPERVISOR = SupervisorKind()
