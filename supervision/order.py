"""In which order services start and stop.

Rules: Y6, Y7. Pure functions on a graph ``{service: its dependencies}``. The order is a list of
*layers*: everything in a layer may start in parallel once the layers before it run. Stopping is
the exact reverse. Inside a layer the order of the graph is kept, so that results are repeatable.
"""

from collections.abc import Iterable, Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


class DependencyCycle(ValueError):
    """The dependencies lead back to where they began; ``cycle`` names each station once (Y7)."""

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = tuple(cycle)
        path = " -> ".join((*self.cycle, self.cycle[0]))
        super().__init__(f"dependency cycle: {path}")


def closure(graph: Graph, wanted: Iterable[str]) -> list[str]:
    """The wanted services and all they depend on, in the order of the graph (Y8).

    Names that are not in the graph are left out: a missing dependency is for the caller to report.
    """
    needed: set[str] = set()
    todo = [name for name in wanted if name in graph]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo.extend(need for need in graph[name] if need in graph)
    return [name for name in graph if name in needed]


def layers(graph: Graph) -> list[list[str]]:
    """Start order as layers.

    Raises: DependencyCycle. Dependencies outside the graph do not count.
    """
    left = {name: {need for need in needs if need in graph} for name, needs in graph.items()}
    result: list[list[str]] = []
    while left:
        free = [name for name, needs in left.items() if not needs]
        if not free:
            raise DependencyCycle(find_cycle(graph) or tuple(left))
        for name in free:
            del left[name]
        done = set(free)
        for needs in left.values():
            needs -= done
        result.append(free)
    return result


def stop_layers(graph: Graph) -> list[list[str]]:
    """Stop order: dependents first, the exact reverse of the start order (Y6)."""
    return [list(reversed(layer)) for layer in reversed(layers(graph))]


def find_cycle(graph: Graph) -> tuple[str, ...] | None:
    """One cycle, each station depending on the next, or None."""
    finished: set[str] = set()
    for start in graph:
        path: list[str] = []
        on_path: dict[str, int] = {}
        branches = [iter((start,))]
        while branches:
            name = next(branches[-1], None)
            if name is None:
                branches.pop()
                if path:
                    finished.add(path.pop())
                    on_path.popitem()
            elif name in on_path:
                return tuple(path[on_path[name] :])
            elif name in graph and name not in finished:
                on_path[name] = len(path)
                path.append(name)
                branches.append(iter(graph[name]))
    return None
