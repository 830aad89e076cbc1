"""The order in which entries are created: what they refer to first. Pure.

Rules: LD6 (order follows references, not files), LD4, Y7 (a cycle is an error with all its ids),
RG5 (dependents are deleted first, dependencies created first).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def creation_order(needs: Mapping[str, Collection[str]]) -> tuple[list[str], list[list[str]]]:
    """Ids with everything they need before them, and the cycles found.

    Args:
        needs: for each id the ids it needs; those that are not keys are ignored.

    Returns:
        The order, and one list of ids per cycle, each id needing the next and the last the first.
        Ids of a cycle, and ids that need one, are not in the order. Deterministic: ties by id.

    >>> creation_order({"b": ["a"], "a": [], "c": ["b", "a"]})
    (['a', 'b', 'c'], [])
    >>> creation_order({"a": ["b"], "b": ["a"], "c": []})
    (['c'], [['a', 'b']])
    """
    order: list[str] = []
    state: dict[str, str] = {}  # id -> "open" while on the path, then "done" or "stuck"
    cycles: list[list[str]] = []
    for root in sorted(needs):
        _visit(root, needs, state, order, cycles)
    return order, cycles


def _visit(
    root: str,
    needs: Mapping[str, Collection[str]],
    state: dict[str, str],
    order: list[str],
    cycles: list[list[str]],
) -> None:
    """Depth first without recursion: a chain of references may be thousands long."""
    if root in state:
        return
    path = [root]
    ahead = [iter(sorted(set(needs[root]) & needs.keys()))]
    stuck: set[str] = set()
    state[root] = "open"
    while path:
        needed = next(ahead[-1], None)
        if needed is None:
            done = path.pop()
            ahead.pop()
            state[done] = "stuck" if done in stuck else "done"
            if done not in stuck:
                order.append(done)
            elif path:
                stuck.add(path[-1])
        elif needed not in state:
            state[needed] = "open"
            path.append(needed)
            ahead.append(iter(sorted(set(needs[needed]) & needs.keys())))
        elif state[needed] == "open":
            cycle = path[path.index(needed) :]
            cycles.append(cycle)
            stuck.update(cycle)
        elif state[needed] == "stuck":
            stuck.add(path[-1])
