"""What changes of an application are made of: orders, plans, change sets, versions."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from property_tests.guarantees.registry import guarantee
from registry.changes import Op, OpKind, apply, delta, invert, refused, squash
from registry.entry import Entry
from registry.order import creation_order
from registry.query import find
from registry.transaction import Action, Step, carry_out, plan
from registry.versions import History
from trio_actors import ProcessError

IDS = [f"a:{letter}" for letter in "abcde"]


@attrs.frozen(slots=True)
class Part:
    """As much of a definition as a plan looks at."""

    entry: Entry
    references: tuple[Any, ...] = ()

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def kind(self) -> str:
        return self.entry.kind


@attrs.frozen(slots=True)
class Reference:
    """To another part."""

    id: str


def entry(rng: random.Random, id: str) -> Entry:
    """An entry of one of two kinds with one of three contents."""
    return Entry(id, rng.choice(["one", "two"]), {"n": rng.randrange(3)}, {"n": rng.randrange(3)})


def state(rng: random.Random) -> dict[str, Entry]:
    """Some of the ids, each with an entry."""
    return {id: entry(rng, id) for id in IDS if rng.random() < 0.6}


@guarantee
def entries_come_after_what_they_need() -> None:
    """LD6, Y7: every id after those that it needs, ties by id; cycles and their users are not."""
    rng = random.Random(5)
    for _ in range(400):
        needs = {id: [rng.choice(IDS) for _ in range(rng.choice([0, 0, 1, 2]))] for id in IDS}
        order, cycles = creation_order(needs)
        for place, id in enumerate(order):
            assert set(needs[id]) <= set(order[:place]), (needs, order)
        possible: list[str] = []
        while new := [i for i in IDS if i not in possible and set(needs[i]) <= set(possible)]:
            possible += new
        assert set(order) == set(possible)
        assert bool(cycles) == (len(possible) < len(IDS))
        for cycle in cycles:
            for one, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
                assert other in needs[one]


@guarantee
def change_sets_keep_their_laws() -> None:
    """RG5, RG6: they lead from state to state, are as good when squashed, and can be undone."""
    rng = random.Random(6)
    for _ in range(400):
        old, new = state(rng), state(rng)
        assert apply(old, delta(old, new)) == new
        assert delta(old, old) == ()
        ops: list[Op] = []
        now: Mapping[str, Entry] = old
        for _ in range(rng.randrange(8)):
            op = Op(rng.choice(list(OpKind)), entry(rng, rng.choice(IDS)))
            there = now.get(op.id)
            fits = (there is None) == (op.kind is OpKind.CREATE) and (
                op.kind is not OpKind.UPDATE or (there is not None and there.kind == op.entry.kind)
            )
            assert (refused(now, op) is None) == fits
            if fits:
                if op.kind is OpKind.DELETE:
                    op = Op(op.kind, now[op.id])
                ops.append(op)
                now = apply(now, (op,))
        assert apply(old, squash(ops)) == now
        assert len(squash(ops)) <= len({(op.id, op.entry.kind) for op in ops}) + len(old)
        assert squash(squash(ops)) == squash(ops)
        assert apply(now, invert(old, ops)) == old


@guarantee
def versions_are_numbered_and_kept() -> None:
    """RG10-RG13: highest + 1, never used again; going back makes none."""
    rng = random.Random(7)
    for _ in range(100):
        history, states = History.of({}), [{}]
        for _ in range(rng.randrange(8)):
            if rng.random() < 0.6:
                states.append(state(rng))
                history = history.added(states[-1])
                assert history.current == len(states) - 1
            else:
                number = rng.randrange(len(states))
                history = history.moved(number)
                assert history.current == number
            assert history.numbers() == list(range(len(states)))
            for number, known in enumerate(states):
                assert history.state(number) == known
                assert history.previous(number) == (number - 1 if number else None)
                assert history.next(number) == (number + 1 if number + 1 < len(states) else None)


@guarantee
def a_found_entry_fits_the_query() -> None:
    """RG1, RG2, RG4: all that fit every condition, sorted by id, and no others."""
    rng = random.Random(8)
    for _ in range(300):
        entries = list(state(rng).values())
        rng.shuffle(entries)
        kind, n, glob = (
            rng.choice(["one", "two"]),
            rng.randrange(3),
            rng.choice(["a:*", "*c", "b*"]),
        )
        before, _, after = glob.partition("*")
        fitting = [
            e
            for e in sorted(entries, key=lambda e: e.id)
            if e.kind == kind
            and e.meta.get("n") == n
            and e.id.startswith(before)
            and e.id.endswith(after)
        ]
        assert find(entries, {"kind": kind, "meta": {"n": n}, "id": glob}) == fitting


@guarantee
def a_plan_keeps_what_is_needed_and_can_be_taken_back() -> None:
    """RG5, RG9: nothing goes while it is referred to; a failure leaves all as it was."""
    rng = random.Random(9)
    for _ in range(300):
        old, new = parts(rng), parts(rng)
        steps = plan(old, new, lambda _: None)  # type: ignore[arg-type, return-value]
        there, snapshots = dict(old), [dict(old)]
        for step in steps:
            carry(there, step)
            snapshots.append(dict(there))
        assert there == new
        for snapshot in snapshots:
            for part in snapshot.values():
                if part is old.get(part.id):  # it is to go, or its update is still to come
                    wanted = [r.id for r in part.references if r.id not in new]
                    missing = [id for id in wanted if id not in snapshot]
                    assert not missing, (old, new, part)
        failing = rng.randrange(len(steps)) if steps else None
        trio.run(fails_and_is_undone, old, steps, failing)


async def fails_and_is_undone(old: dict[str, Part], steps: list[Step], failing: int | None) -> None:
    """Carries out steps of which one fails, if any."""
    there, made = dict(old), 0

    async def do(step: Step) -> None:
        nonlocal made
        made += 1
        if made - 1 == failing:
            raise ProcessError("no")
        carry(there, step)

    try:
        await carry_out(steps, do)
    except ProcessError:
        assert failing is not None
        assert there == old
    else:
        assert failing is None


def carry(there: dict[str, Part], step: Step) -> None:
    """One step on a set of parts: what it takes away is there, what it adds is not."""
    if step.action is not Action.ADD:
        assert step.old is not None
        assert there[step.old.id] == step.old  # type: ignore[comparison-overlap]
        del there[step.old.id]
    if step.action is not Action.REMOVE:
        assert step.new is not None
        assert step.new.id not in there
        there[step.new.id] = step.new  # type: ignore[assignment]


def parts(rng: random.Random) -> dict[str, Part]:
    """Definitions in order of creation: each refers to earlier ones only."""
    found: dict[str, Part] = {}
    for id in IDS:
        if rng.random() < 0.7:
            needed = [other for other in found if rng.random() < 0.3]
            made = attrs.evolve(entry(rng, id), data={"needs": needed})
            found[id] = Part(made, tuple(map(Reference, needed)))
    return found
