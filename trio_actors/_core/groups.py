"""Process groups: named sets of processes, for broadcast and discovery.

Pure data here; who leaves at an exit and who is told is arranged by `Node` and `ProcessContext`.
A process may be in a group once. Members are listed in the order in which they joined.
"""

from __future__ import annotations

import attrs

from trio_actors._core.pid import Pid


@attrs.frozen(slots=True)
class GroupChange:
    """What a watcher of a group is sent: who joined, who left."""

    group: str
    joined: tuple[Pid, ...] = ()
    left: tuple[Pid, ...] = ()


class Groups:
    """The groups of one node."""

    __slots__ = ("_groups", "_joined", "_watchers")

    def __init__(self) -> None:
        self._groups: dict[str, dict[Pid, None]] = {}
        self._joined: dict[Pid, dict[str, None]] = {}
        self._watchers: dict[str, dict[tuple[Pid, str], None]] = {}

    def join(self, group: str, pid: Pid) -> bool:
        """False if it was a member already."""
        if pid in self._groups.get(group, ()):
            return False
        self._groups.setdefault(group, {})[pid] = None
        self._joined.setdefault(pid, {})[group] = None
        return True

    def leave(self, group: str, pid: Pid) -> bool:
        """False if it was no member."""
        if pid not in self._groups.get(group, ()):
            return False
        del self._groups[group][pid]
        if not self._groups[group]:
            del self._groups[group]
        del self._joined[pid][group]
        if not self._joined[pid]:
            del self._joined[pid]
        return True

    def members(self, group: str) -> list[Pid]:
        """Who is in it, oldest member first."""
        return list(self._groups.get(group, ()))

    def groups_of(self, pid: Pid) -> list[str]:
        """What a process is in."""
        return list(self._joined.get(pid, ()))

    def watch(self, group: str, pid: Pid, topic: str) -> None:
        """The process will be sent GroupChange under this topic."""
        self._watchers.setdefault(group, {})[pid, topic] = None

    def unwatch(self, group: str, pid: Pid) -> None:
        """Takes back every `watch` of the process."""
        watchers = self._watchers.get(group, {})
        for entry in [entry for entry in watchers if entry[0] == pid]:
            del watchers[entry]
        if not watchers:
            self._watchers.pop(group, None)

    def watchers(self, group: str) -> list[tuple[Pid, str]]:
        """(PID, topic) of those to tell."""
        return list(self._watchers.get(group, ()))

    def remove(self, pid: Pid) -> list[str]:
        """Takes an ended process out of everything; the groups it was in."""
        groups = self.groups_of(pid)
        for group in groups:
            self.leave(group, pid)
        for group in list(self._watchers):
            self.unwatch(group, pid)
        return groups
