"""The order of creation: LD6, LD4, Y7."""

from hypothesis import given
from hypothesis import strategies as st

from registry.order import creation_order

IDS = [f"a:{letter}" for letter in "abcdefg"]
GRAPHS = st.dictionaries(
    st.sampled_from(IDS), st.lists(st.sampled_from([*IDS, "z:unknown"]), max_size=4), max_size=7
)


@given(GRAPHS)
def test_everything_needed_comes_first(graph: dict[str, list[str]]) -> None:
    """LD6: in the order an id stands after all ids that it needs; unknown ids do not count."""
    order, _ = creation_order(graph)
    place = {id: index for index, id in enumerate(order)}
    for id in order:
        for needed in set(graph[id]) & graph.keys():
            assert place[needed] < place[id]


@given(GRAPHS)
def test_what_is_left_out_needs_a_cycle(graph: dict[str, list[str]]) -> None:
    """LD4: an id is in the order unless it is on a cycle or needs one; cycles are real."""
    order, cycles = creation_order(graph)
    assert len(set(order)) == len(order)
    for cycle in cycles:
        for needing, needed in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert needed in graph[needing]
    bad = {id for cycle in cycles for id in cycle}
    while grown := {id for id, needs in graph.items() if bad & set(needs)} - bad:
        bad |= grown
    assert set(order) == graph.keys() - bad


@given(st.permutations([("a", "b"), ("b", "c"), ("c", ""), ("d", "a")]))
def test_the_order_does_not_depend_on_the_order_of_files(pairs: list[tuple[str, str]]) -> None:
    """LD6: the order follows references, not files."""
    assert creation_order({id: [need] for id, need in pairs}) == (["c", "b", "a", "d"], [])


def test_a_long_chain_is_no_deep_recursion() -> None:
    """A chain of ten thousand references is ordered."""
    graph = {f"n{i:05}": [f"n{i + 1:05}"] for i in range(10_000)}
    assert creation_order(graph)[0][-1] == "n00000"
