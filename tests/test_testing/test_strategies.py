"""The strategies give what they say, and shrink to the simplest (TS19)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from trio_actors import ProcessContext, is_pid
from trio_actors.testing import Sim, explore, strategies

SIMPLEST = [
    (strategies.names(), "a"),
    (strategies.topics(), "a"),
    (strategies.messages(), ("a",)),
    (strategies.payloads(), None),
    (strategies.lua_values(), None),
    (strategies.behaviours(), []),
    (strategies.restart_strategies(), "one_for_one"),
    (strategies.intensities(), (0, 1.0)),
    (strategies.child_specs(), [{"id": "c0", "restart": "permanent", "shutdown": 5.0}]),
    (strategies.crash_plans(), []),
    (strategies.channel_programs(), (0, [[]])),
]


@pytest.mark.parametrize(("strategy", "simplest"), SIMPLEST)
def test_shrinks_to_the_simplest(strategy: st.SearchStrategy[Any], simplest: Any) -> None:
    """TS19: What Hypothesis shows when everything fails."""
    assert find(strategy, lambda _: True, settings=settings(database=None)) == simplest


@given(strategies.trees())
def test_trees_have_children_with_distinct_ids(tree: dict[str, Any]) -> None:
    """At every level."""
    ids = [child["id"] for child in tree["children"]]
    assert len(ids) == len(set(ids)) >= 1


@given(strategies.names(), strategies.topics())
def test_names_are_no_pids_and_topics_are_not_reserved(name: str, topic: str) -> None:
    """So that user code may use them."""
    assert not is_pid(name)
    assert not topic.startswith("@")


@pytest.mark.parametrize(
    "edge",
    [
        lambda v: v == 2**63,
        lambda v: isinstance(v, float) and v != v,
        lambda v: isinstance(v, bytes) and len(v) > 0,
        lambda v: isinstance(v, list) and len(v) == 2 and v[1] is v,
        lambda v: isinstance(v, list) and len(v) == 2 and v[0] is v[1] and isinstance(v[0], list),
        lambda v: isinstance(v, dict) and 3 in v and 2 not in v,
    ],
    ids=["2^63", "nan", "bytes", "cyclic", "shared", "hole"],
)
def test_lua_values_have_every_edge(edge: Any) -> None:
    """Hypothesis finds each of them."""
    find(
        strategies.lua_values(),
        edge,
        settings=settings(max_examples=5000, database=None, phases=[Phase.generate]),
    )


@given(strategies.exit_reasons())
def test_an_exit_reason_returns_or_raises(reason: Any) -> None:
    """Exactly as often as it is called."""
    try:
        first = reason()
    except Exception:
        with pytest.raises(Exception):
            reason()
    else:
        assert reason() == first


@given(programs=st.lists(strategies.behaviours(), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
@explore(schedules=4)
async def test_invariants_hold_for_generated_programs(
    sim: Sim, programs: list[list[strategies.Act]]
) -> None:
    """All invariants of testing.md §3, on random programs under random schedules."""

    async def idle(ctx: ProcessContext) -> None:
        async for _ in ctx.inbox:
            pass

    peers = [await sim.spawn(idle, name=f"p{i}") for i in range(2)]
    for index, program in enumerate(programs):
        pid = await sim.spawn(strategies.run_behaviour, program, peers, name=f"b{index}")
        peers.append(pid)
    await sim.run_for(20)
