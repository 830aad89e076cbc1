"""How one set of definitions becomes another while the application runs: steps, and their undoing.

`plan` is pure: it says which definitions are removed, updated and added, in which order. Then the
steps are carried out one by one by the kinds; if one of them raises, those done are undone in
reverse, and the application is what it was (RG5). An update also reaches definitions that did not
change themselves but depend on what changed (`Kind.affected_by`): importers of a library.

Order: what nothing left behind refers to is removed first, so that its place is free; then updates
and additions, dependencies first; then the rest of the removals. Dependents are always removed
before what they refer to. What loses something with its removal that no undoing brings back
(`Kind.irrevocable`: the messages of a queue, the processes of a host) is removed at the very end,
when nothing else can be refused any more; with it what it refers to.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum

import attrs
import trio

from .kind import Definition, Definitions, Kind

log = logging.getLogger("trio_actors.registry")
KindOf = Callable[[Definition], Kind]


class Action(StrEnum):
    """What a step does."""

    ADD = "add"
    UPDATE = "update"
    REMOVE = "remove"


@attrs.frozen(slots=True)
class Step:
    """One step; `old` is there for update and remove, `new` for update and add."""

    action: Action
    old: Definition | None = None
    new: Definition | None = None

    @property
    def undo(self) -> Step:
        """The step that takes this one back."""
        match self.action:
            case Action.ADD:
                return Step(Action.REMOVE, self.new)
            case Action.REMOVE:
                return Step(Action.ADD, None, self.old)
            case Action.UPDATE:
                return Step(Action.UPDATE, self.new, self.old)


def plan(old: Definitions, new: Definitions, kind_of: KindOf) -> list[Step]:
    """The steps from one set of definitions, in order of creation, to another."""
    gone = [id for id in old if id not in new or new[id].kind != old[id].kind]
    lossy = {id for id in gone if id not in new and getattr(kind_of(old[id]), "irrevocable", False)}
    late = lossy | _needed_by_others(old, set(gone), lossy)
    changed: set[str] = set(gone)
    middle: list[Step] = []
    for id, definition in new.items():
        if id in changed or id not in old:
            changed.add(id)
            middle.append(Step(Action.ADD, None, definition))
        elif definition.entry != old[id].entry or _affected(definition, changed, kind_of):
            changed.add(id)
            middle.append(Step(Action.UPDATE, old[id], definition))
    removals = [Step(Action.REMOVE, old[id]) for id in reversed(list(old)) if id in gone]
    # An id whose kind changes has to go before it can come back.
    first = [s for s in removals if s.old and (s.old.id not in late or s.old.id in new)]
    last = [s for s in removals if s not in first]
    return [*first, *middle, *last]


def _needed_by_others(old: Definitions, gone: set[str], lossy: set[str]) -> set[str]:
    """Those to be removed that something left behind or late refers to, and what they refer to."""
    late: set[str] = set()
    todo = [definition for id, definition in old.items() if id not in gone or id in lossy]
    while todo:
        for reference in todo.pop().references:
            if reference.id in gone and reference.id not in late:
                late.add(reference.id)
                todo.append(old[reference.id])
    return late


def _affected(definition: Definition, changed: set[str], kind_of: KindOf) -> bool:
    affected = getattr(kind_of(definition), "affected_by", None)
    return affected is not None and bool(affected(definition, changed))


Carry = Callable[[Step], Awaitable[None]]


async def carry_out(steps: Sequence[Step], do: Carry) -> None:
    """Do all steps, or none: after a failure those done are undone and its error is raised.

    Shielded from cancellation (RG9). Checkpoint: as the steps.
    """
    done: list[Step] = []
    with trio.CancelScope(shield=True):
        for step in steps:
            try:
                await do(step)
            except Exception:
                await _undo(done, do)  # noqa: ASYNC120  shielded
                raise
            done.append(step)


async def _undo(done: Sequence[Step], do: Carry) -> None:
    for step in reversed(done):
        try:
            await do(step.undo)
        except Exception:
            log.exception("undoing %s failed", step.undo.action)
