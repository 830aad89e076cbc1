"""Plots for a tree of supervisors: what it is, what goes wrong, and what is done to it.

Trees are up to three supervisors deep with up to four children each.
"""

from typing import Any

from attrs import frozen

from property_tests.picking import Pick, some

IDS = "abcd"
REQUESTS = ["terminate", "restart", "delete"]
SIZES = [4, 3, 4, 2, 3, 1, 0]


def make_children(pick: Pick, auto: str, depth: int) -> list[dict[str, Any]]:
    """Up to four, some of them supervisors."""
    specs = []
    for id in some(pick, IDS, pick.one(SIZES)):
        restart = pick.one(["permanent", "transient", "permanent", "temporary"])
        significant = restart != "permanent" and auto != "never" and pick.one([False, True])
        # no two waits end at the same time, so that the order of starts is determined
        delay = pick.real(0.5, 3.5) if pick.one([False, False, True]) else 0.0
        spec = {"id": id, "restart": restart, "significant": significant, "delay": delay}
        if depth and pick.one([True, False]):
            spec["supervisor"] = make_tree(pick, depth - 1)
        specs.append(spec)
    return specs


def make_tree(pick: Pick, depth: int = 2) -> dict[str, Any]:
    """A supervisor and all below it."""
    auto = pick.one(["never", "never", "any_significant", "all_significant"])
    return {
        "strategy": pick.one(["one_for_one", "one_for_all", "rest_for_one"]),
        "intensity": pick.one([10, 3, 10, 3, 1, 0]),
        "period": pick.one([2.0, 5.0]),
        "auto": auto,
        "children": make_children(pick, auto, depth),
    }


OFTEN = ["crash"] * 6 + ["pause"] * 3 + ["terminate"] * 2 + ["restart"] * 2 + ["delete", "start"]
HOW = ["abnormal", "normal", "abnormal", "shutdown"]


def make_step(pick: Pick) -> tuple[str, int, Any, str]:
    """One step: what, two numbers that choose whom, and how."""
    what = pick.one([*OFTEN, "burst", "burst", "update"])
    m: Any = pick.one(range(50))
    if what == "update":
        m = make_tree(pick, 1)
    if what == "burst":
        size = pick.one([2, 3, 4])
        m = [(pick.one(REQUESTS), pick.one(IDS)) for _ in range(size)]
    return what, pick.one(range(50)), m, pick.one(HOW)


@frozen
class Plot:
    """A tree, what goes wrong in it, and what is done to it."""

    spec: dict[str, Any]
    early: bool  # starts are counted from the very first one
    failures: set[int]  # which starts fail
    hangs: int | None  # which start never gets ready
    steps: list[tuple[str, int, Any, str]]


def make_plot(pick: Pick) -> Plot:
    """The whole of it."""
    spec, early = make_tree(pick), pick.one([False, False, False, True])
    failures = {pick.one(range(1, 17)) for _ in range(pick.one([0, 2, 4, 1]))}
    hangs = pick.one(range(1, 13)) if pick.one([False, False, True]) else None
    size = pick.one([12, 8, 16, 5, 2, 0])
    return Plot(spec, early, failures, hangs, [make_step(pick) for _ in range(size)])
