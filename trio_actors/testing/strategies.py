"""Hypothesis strategies for actor programs; all shrink towards the simplest (TS19).

Values are plain data, so that an example can be printed, stored and read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from trio_actors._core.context import ProcessContext
from trio_actors._core.errors import ErrorKind, ProcessError, Shutdown, make_error

SIMPLE = "abcdefgh"


def names() -> SearchStrategy[str]:
    """Registered names: short ones first, then any text that is no PID."""
    simple = st.text(SIMPLE, min_size=1, max_size=4)
    return simple | st.text(min_size=1, max_size=12).filter(
        lambda name: not (name.startswith("{") and name.endswith("}"))
    )


def topics() -> SearchStrategy[str]:
    """Topics that user code may send to; never reserved ones."""
    simple = st.text(SIMPLE, min_size=1, max_size=4)
    return simple | st.text(max_size=12).filter(lambda topic: not topic.startswith("@"))


def messages() -> SearchStrategy[tuple[Any, ...]]:
    """A topic and up to three payload values that may cross between languages."""
    return st.builds(
        lambda topic, values: (topic, *values), topics(), st.lists(payloads(), max_size=3)
    )


def payloads() -> SearchStrategy[Any]:
    """Values that mean the same in Python and Lua (M20, M21, M27)."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False)
        | st.text(max_size=8)
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(st.text(SIMPLE, min_size=1, max_size=3), inner, min_size=1)
        ),
        max_leaves=6,
    )


def lua_values() -> SearchStrategy[Any]:
    """Values with every edge of conversion: 2^53, 2^63, -0.0, nan, bytes, shared, cyclic."""
    edges = st.sampled_from(
        [
            2**53,
            2**53 + 1,
            2**63 - 1,
            -(2**63),
            2**63,
            0.0,
            -0.0,
            float("inf"),
            float("-inf"),
            float("nan"),
            "",
            "\0",
            "a\0b",
            "\N{SNOWMAN}",
            b"\xff\xfe",
            b"\x80",
        ]
    )
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | edges
    scalars = scalars | st.binary(max_size=8)
    keys = st.text(max_size=4) | st.integers(-3, 8) | st.booleans()
    tables = st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(keys, inner, max_size=4)
            | inner.map(lambda value: [value, value])  # shared
            | st.lists(inner, min_size=1, max_size=3).map(_with_hole)
        ),
        max_leaves=10,
    )
    return scalars | edges | tables | st.integers(0, 3).map(_cyclic)


def _with_hole(items: list[Any]) -> dict[int, Any]:
    return {index * 2 + 1: item for index, item in enumerate(items)}


def _cyclic(value: int) -> list[Any]:
    table: list[Any] = [value]
    table.append(table)
    return table


def exit_reasons() -> SearchStrategy[Callable[[], Any]]:
    """Ways for a process to end: functions that return a value or raise."""
    values = st.none() | st.booleans() | st.integers(0, 9) | st.text(SIMPLE, max_size=3)
    kinds = st.sampled_from(list(ErrorKind))
    errors = st.builds(lambda kind: make_error(kind, "failed", retryable=None), kinds)
    plain = st.sampled_from([ValueError("boom"), KeyError("k"), Shutdown("asked for")])
    return values.map(_returning) | errors.map(_raising) | plain.map(_raising)


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value


def _raising(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


@attrs.frozen(slots=True)
class Act:
    """One thing that a generated process does; `other` is the index of another process."""

    op: str
    other: int = 0
    number: int = 0


OPS = ("send", "receive", "sleep", "link", "unlink", "monitor", "register", "trap", "end", "fail")


def behaviours(others: int = 3, length: int = 6) -> SearchStrategy[list[Act]]:
    """Small actor programs as data; `run_behaviour` runs them. The empty program is simplest."""
    act = st.builds(Act, st.sampled_from(OPS), st.integers(0, others - 1), st.integers(0, 3))
    return st.lists(act, max_size=length)


async def run_behaviour(ctx: ProcessContext, acts: list[Act], peers: list[str]) -> None:
    """A process that does what a program of `behaviours` says; refusals are ignored."""
    for act in acts:
        peer = peers[act.other % len(peers)]
        try:
            match act.op:
                case "send":
                    ctx.send(peer, "m", act.number)
                case "receive":
                    with trio.move_on_after(act.number):
                        await ctx.inbox.receive()
                case "sleep":
                    await trio.sleep(act.number)
                case "link":
                    ctx.link(peer)
                case "unlink":
                    ctx.unlink(peer)
                case "monitor":
                    ctx.monitor(peer)
                case "register":
                    ctx.register(f"name{act.number}")
                case "trap":
                    ctx.options.trap_links = act.number % 2 == 0
                case "end":
                    return
                case _:
                    raise ValueError(f"program fails with {act.number}")
        except ProcessError:
            continue


def restart_strategies() -> SearchStrategy[str]:
    """The strategies of supervisors."""
    return st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])


def intensities() -> SearchStrategy[tuple[int, float]]:
    """(restarts, period in seconds)."""
    return st.tuples(st.integers(0, 4), st.sampled_from([1.0, 5.0, 60.0]))


def child_specs(max_size: int = 4) -> SearchStrategy[list[dict[str, Any]]]:
    """Child specifications as data, with ids c0, c1, and so on; valid ones only."""

    def number(specs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"id": f"c{index}", **spec} for index, spec in enumerate(specs)]

    spec = st.fixed_dictionaries(
        {
            "restart": st.sampled_from(["permanent", "transient", "temporary"]),
            "shutdown": st.sampled_from([5.0, 0.5, "brutal_kill"]),
        }
    )
    return st.lists(spec, min_size=1, max_size=max_size).map(number)


def trees(depth: int = 2) -> SearchStrategy[dict[str, Any]]:
    """Supervision trees as data: `strategy`, `intensity`, `period`, `children`."""

    def level(children: SearchStrategy[list[dict[str, Any]]]) -> SearchStrategy[dict[str, Any]]:
        return st.builds(
            lambda strategy, intensity, specs: {
                "strategy": strategy,
                "intensity": intensity[0],
                "period": intensity[1],
                "children": specs,
            },
            restart_strategies(),
            intensities(),
            children,
        )

    tree = level(child_specs())
    for _ in range(depth - 1):
        inner = tree

        def nested(
            pair: tuple[list[dict[str, Any]], dict[str, Any]],
        ) -> list[dict[str, Any]]:
            specs, sub = pair
            return [*specs, {"id": f"c{len(specs)}", "type": "supervisor", "tree": sub}]

        tree = level(child_specs() | st.tuples(child_specs(3), inner).map(nested))
    return tree


def crash_plans(children: int = 4, length: int = 6) -> SearchStrategy[list[tuple[float, int, str]]]:
    """Which child ends when and how: (seconds since the last, index, "normal" or "crash")."""
    event = st.tuples(
        st.sampled_from([0.0, 0.5, 2.0, 10.0]),
        st.integers(0, children - 1),
        st.sampled_from(["normal", "crash"]),
    )
    return st.lists(event, max_size=length)


def channel_programs(
    coroutines: int = 3, length: int = 5
) -> SearchStrategy[tuple[int, list[list[tuple[str, int]]]]]:
    """A channel's size, and for each coroutine what it does: ("send", n), ("receive", 0), ..."""
    act = st.tuples(
        st.sampled_from(["send", "receive", "close", "select", "yield"]), st.integers(0, 9)
    )
    programs = st.lists(st.lists(act, max_size=length), min_size=1, max_size=coroutines)
    return st.tuples(st.integers(0, 3), programs)
