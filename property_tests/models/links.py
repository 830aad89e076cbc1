"""A reference model of links, monitors and ends, independent of the kernel (K10-K17, N1-N6, V20).

Processes are numbers. Commands change who is tied to whom; `end` says how one ends, and the model
says who ends with it and which events everybody who lives has got, in no particular order.
"""

from collections import Counter


class Links:
    """The world as the specification describes it."""

    def __init__(self, count: int) -> None:
        self.alive = set(range(count))
        self.links: set[frozenset[int]] = set()
        self.monitors: set[tuple[int, int]] = set()  # watcher, target
        self.traps: set[int] = set()
        self.events: dict[int, Counter[tuple[str, int]]] = {i: Counter() for i in range(count)}

    def link(self, a: int, b: int) -> str | None:
        """K10; the kind of the refusal or None."""
        if b not in self.alive:
            return "NotFound"
        if a != b:
            self.links.add(frozenset((a, b)))
        return None

    def unlink(self, a: int, b: int) -> str | None:
        """K11: never refused."""
        self.links.discard(frozenset((a, b)))
        return None

    def monitor(self, a: int, b: int) -> str | None:
        """N1-N3, N5."""
        if b not in self.alive:
            return "NotFound"
        if a == b:
            return None
        if (a, b) in self.monitors:
            return "AlreadyExists"
        self.monitors.add((a, b))
        return None

    def unmonitor(self, a: int, b: int) -> str | None:
        """N4: never refused for a PID."""
        self.monitors.discard((a, b))
        return None

    def trap(self, a: int, on: int) -> str | None:
        """O1."""
        (self.traps.add if on % 2 else self.traps.discard)(a)
        return None

    def end(self, a: int, abnormal: bool) -> None:
        """The end of one and of all whom it takes along."""
        ending = [(a, abnormal)]
        while ending:
            who, failed = ending.pop(0)
            if who not in self.alive:
                continue
            self.alive.discard(who)
            watchers = [w for w, t in self.monitors if t == who]
            peers = [p for pair in self.links if who in pair for p in pair if p != who]
            self.monitors = {(w, t) for w, t in self.monitors if who not in (w, t)}
            self.links = {pair for pair in self.links if who not in pair}
            for watcher in watchers:
                self.events[watcher]["pid.exit", who] += 1
            for peer in peers if failed else ():
                if peer in self.traps:
                    self.events[peer]["pid.link.down", who] += 1
                else:
                    ending.append((peer, True))
