"""Who waits for the end of whom: an end touches those that are told of it by a call.

A call that tells of an end changes what its owner finds when it next looks, whether it wakes a task
or not. Its owner is whoever ran when the wait began.
"""

from __future__ import annotations

from trio_actors._core.ask import Waiter
from trio_actors._core.pid import Pid
from trio_actors._core.process import ExitWatcher
from trio_actors.testing.footprint import READ, WRITE, Footprint, Resource


class Waiting:
    """The waits of one run."""

    __slots__ = ("_footprint", "_owners")

    def __init__(self, footprint: Footprint) -> None:
        self._footprint = footprint
        self._owners: dict[Pid, dict[ExitWatcher, list[Resource]]] = {}

    def begins(self, pid: Pid, watcher: ExitWatcher) -> None:
        """Somebody waits for the end of a process that is alive."""
        if self._footprint.taken:
            self._footprint.touch(("life", pid), READ)
            self._owners.setdefault(pid, {})[watcher] = self._footprint.runs()

    def stops(self, pid: Pid, watcher: ExitWatcher) -> None:
        """It does not wait any more; whether the end came before makes a difference."""
        if self._footprint.taken:
            self._footprint.touch(("life", pid), READ)
            self._owners.get(pid, {}).pop(watcher, None)

    def ended(self, pid: Pid) -> None:
        """All that wait for this end are about to be told."""
        for watcher, owners in self._owners.pop(pid, {}).items():
            asking = getattr(watcher, "__self__", None)
            if isinstance(asking, Waiter) and not asking.pending:
                continue  # it has its answer, and the end is nothing to it
            for owner in owners:
                self._footprint.touch(owner, WRITE)
