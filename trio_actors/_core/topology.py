"""Links and monitors as pure data: who watches whom, who is tied to whom, who is told of an exit.

No awaits, no processes, no time: PIDs in, signals out. Dictionaries stand for ordered sets, so
that everything here happens in the order in which it was asked for (TS4).

Invariants: `links` is symmetric; `watching` and `watchers` mirror each other; an ended process is
in none of the tables; an empty set is removed (10,000 processes without links cost nothing).
"""

from __future__ import annotations

from collections.abc import Sequence

from trio_actors._core.pid import Pid

_Table = dict[Pid, dict[Pid, None]]
Told = tuple[Sequence[Pid], Sequence[Pid]]
NOBODY_TOLD: Told = ((), ())


class Topology:
    """The links and monitors of one node."""

    __slots__ = ("_links", "_watchers", "_watching")

    def __init__(self) -> None:
        self._links: _Table = {}
        self._watchers: _Table = {}  # target -> those who will get EXIT
        self._watching: _Table = {}  # watcher -> its targets

    def link(self, a: Pid, b: Pid) -> bool:
        """Ties both together (K10); False if they were, or for a process and itself."""
        if a == b or b in self._links.get(a, ()):
            return False
        self._links.setdefault(a, {})[b] = None
        self._links.setdefault(b, {})[a] = None
        return True

    def unlink(self, a: Pid, b: Pid) -> bool:
        """Unties both directions (K11); False if there was no link."""
        if b not in self._links.get(a, ()):
            return False
        _discard(self._links, a, b)
        _discard(self._links, b, a)
        return True

    def monitor(self, watcher: Pid, target: Pid) -> bool:
        """Watcher will be told when target ends; False if it was watching already (N3)."""
        if target in self._watching.get(watcher, ()):
            return False
        self._watching.setdefault(watcher, {})[target] = None
        self._watchers.setdefault(target, {})[watcher] = None
        return True

    def unmonitor(self, watcher: Pid, target: Pid) -> bool:
        """Watcher will not be told (N4); False if it was not watching."""
        if target not in self._watching.get(watcher, ()):
            return False
        _discard(self._watching, watcher, target)
        _discard(self._watchers, target, watcher)
        return True

    def remove(self, pid: Pid) -> Told:
        """Takes an ended process out (V20.3) and says who is to be told: often NOBODY_TOLD.

        Returns:
            (watchers, peers): those who get EXIT, then those who get LINK_DOWN if the end was
            abnormal; each in the order in which the monitors and links were made.
        """
        if not (self._links or self._watching):  # then there are no watchers either
            return NOBODY_TOLD
        peers = self._links.pop(pid, None)
        if peers is not None:
            for peer in peers:
                _discard(self._links, peer, pid)
        if pid not in self._watching and pid not in self._watchers:
            return ((), list(peers)) if peers else NOBODY_TOLD
        targets = self._watching.pop(pid, None)
        if targets is not None:
            for target in targets:
                _discard(self._watchers, target, pid)
        watchers = self._watchers.pop(pid, None)
        if watchers is not None:
            for watcher in watchers:
                if watcher != pid:
                    _discard(self._watching, watcher, pid)
        return (
            [w for w in watchers if w != pid] if watchers else [],
            list(peers) if peers else [],
        )

    def links_of(self, pid: Pid) -> list[Pid]:
        """The peers of a process, oldest link first."""
        return list(self._links.get(pid, ()))

    def watchers_of(self, pid: Pid) -> list[Pid]:
        """Who will be told of its end, oldest monitor first."""
        return list(self._watchers.get(pid, ()))

    def watched_by(self, pid: Pid) -> list[Pid]:
        """What a process watches, oldest monitor first."""
        return list(self._watching.get(pid, ()))


def _discard(table: _Table, key: Pid, member: Pid) -> None:
    members = table.get(key)
    if members is not None and member in members:
        del members[member]
        if not members:
            del table[key]
