"""Change sets and versions as values: RG5, RG6, RG10-RG13."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.changes import Op, OpKind, State, apply, delta, invert, refused, squash
from registry.entry import Entry
from registry.versions import History
from trio_actors import ProcessConflict, ProcessError, ProcessInvalid, ProcessNotFound

IDS = [f"a:{letter}" for letter in "abcd"]
ENTRIES = st.builds(
    Entry,
    st.sampled_from(IDS),
    st.sampled_from(["one", "two"]),
    st.just({}),
    st.fixed_dictionaries({"n": st.integers(0, 2)}),
)
STATES = st.lists(ENTRIES, max_size=5).map(lambda items: {entry.id: entry for entry in items})
OPS = st.lists(st.builds(Op, st.sampled_from(OpKind), ENTRIES), max_size=12)


def fitting(state: State, ops: list[Op]) -> list[Op]:
    """Those of the operations that apply, one after the other."""
    result, kept = dict(state), []
    for op in ops:
        if refused(result, op) is None:
            if op.kind is OpKind.DELETE:  # a delete carries the entry that it removes
                op = Op(op.kind, result[op.id])
            result = apply(result, (op,))
            kept.append(op)
    return kept


@given(STATES, STATES)
def test_a_delta_leads_from_one_state_to_the_other(old: State, new: State) -> None:
    """apply(s, delta(s, t)) = t, and nothing leads from a state to itself."""
    assert apply(old, delta(old, new)) == new
    assert delta(old, old) == ()


@given(STATES, OPS)
def test_squashed_operations_have_the_same_effect(state: State, ops: list[Op]) -> None:
    """apply(s, squash(ops)) = apply(s, ops), at most a delete and a create per id, idempotent."""
    ops = fitting(state, ops)
    squashed = squash(ops)
    assert apply(state, squashed) == apply(state, ops)
    assert squash(squashed) == squashed
    per_id = [[op.kind for op in squashed if op.id == id] for id in IDS]
    assert all(len(kinds) < 2 or kinds == [OpKind.DELETE, OpKind.CREATE] for kinds in per_id)


@given(STATES, OPS)
def test_inverted_operations_undo(state: State, ops: list[Op]) -> None:
    """apply(apply(s, ops), invert(s, ops)) = s."""
    ops = fitting(state, ops)
    assert apply(apply(state, ops), invert(state, ops)) == state


@given(STATES, OPS)
def test_refused_operations_change_nothing(state: State, ops: list[Op]) -> None:
    """RG5: all or nothing; the state given stays as it was."""
    copy = dict(state)
    try:
        apply(state, ops)
    except ProcessError:
        pass
    assert state == copy


@pytest.mark.parametrize(
    ("op", "error", "text"),
    [
        (Op(OpKind.CREATE, Entry("a:x", "one")), ProcessConflict, "entry exists already: a:x"),
        (Op(OpKind.UPDATE, Entry("a:y", "one")), ProcessNotFound, "entry not found: a:y"),
        (Op(OpKind.DELETE, Entry("a:y", "one")), ProcessNotFound, "entry not found: a:y"),
        (Op(OpKind.UPDATE, Entry("a:x", "two")), ProcessInvalid, "the kind of a:x cannot change"),
    ],
)
def test_refusals_keep_their_kind(op: Op, error: type[ProcessError], text: str) -> None:
    """RG6."""
    with pytest.raises(error, match=text):
        apply({"a:x": Entry("a:x", "one")}, [op])


def test_versions_are_linear_and_never_reused() -> None:
    """RG10, RG12: v0 is the baseline; going back makes none, the next is the highest + 1."""
    first, second = {"a:x": Entry("a:x", "one")}, {"a:y": Entry("a:y", "one")}
    history = History.of({}).added(first).added(second).moved(1)
    assert (history.current, history.state(history.current)) == (1, first)
    history = history.added({})
    assert (history.numbers(), history.current) == ([0, 1, 2, 3], 3)
    assert history.state(2) == second
    assert [history.previous(0), history.next(0), history.previous(3), history.next(3)] == [
        None, 1, 2, None,
    ]  # fmt: skip
    with pytest.raises(ProcessNotFound, match="version not found: v9"):
        history.moved(9)
