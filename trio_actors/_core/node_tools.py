"""What a `Node` offers beyond processes and delivery: groups, broadcast, statistics."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import attrs

from trio_actors._core.groups import GroupChange, Groups
from trio_actors._core.mailbox import Routed
from trio_actors._core.message import Message
from trio_actors._core.operations import taken
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors._core.bounded import DeadLetters
    from trio_actors._core.exits import ExitMemory
    from trio_actors._core.host import Host, HostStatistics
    from trio_actors._core.pace import Hand
    from trio_actors._core.process import Process


@attrs.frozen(slots=True)
class NodeStatistics:
    """What a node holds at one moment (PH8); `oldest_unread` in seconds."""

    name: str
    hosts: tuple[HostStatistics, ...]
    processes: int
    delivered: int
    exits: int
    dead_letters: int
    longest_mailbox: int
    oldest_unread: float


class NodeTools:
    """Mixed into `Node`."""

    if TYPE_CHECKING:
        name: str
        hosts: dict[str, Host]
        processes: dict[str, Process]
        groups: Groups
        exits: ExitMemory
        dead_letters: DeadLetters
        delivered: int
        hand: Hand

        def send(self, dest: str, topic: str, payload: Any = None, /, *more: Any) -> None:
            """See Node."""

        def touch(self, kind: str, key: Hashable, *, write: bool = False) -> None:
            """See Node."""

        def tell(self, source: Pid | None, target: Process, message: Message) -> None:
            """See Node."""

    # -- groups

    def join_group(self, group: str, process: Process) -> None:
        """A process enters a group; its watchers are told."""
        if self.groups.join(group, process.pid):
            if len(self.groups.groups_of(process.pid)) == 1:
                process.on_exit(lambda exit: self._leave_all(process.pid))
            self._tell_group(GroupChange(group, joined=(process.pid,)))

    def leave_group(self, group: str, pid: Pid) -> bool:
        """A process leaves a group; its watchers are told. False if it was no member."""
        if not self.groups.leave(group, pid):
            return False
        self._tell_group(GroupChange(group, left=(pid,)))
        return True

    def watch_group(self, group: str, process: Process, topic: str) -> list[Pid]:
        """The process is told of changes from now on; the members of now."""
        self.groups.watch(group, process.pid, topic)
        process.on_exit(lambda exit: self._leave_all(process.pid))
        return self.groups.members(group)

    def _leave_all(self, pid: Pid) -> None:
        for group in self.groups.remove(pid):
            self._tell_group(GroupChange(group, left=(pid,)))

    def _tell_group(self, change: GroupChange) -> None:
        for pid, topic in self.groups.watchers(change.group):
            process = self.processes.get(pid)
            if process is not None:
                self.tell(None, process, Message(topic, None, change))

    def members(self, group: str) -> list[Pid]:
        """Who is in a group, oldest member first."""
        return self.groups.members(group)

    def broadcast(self, group: str, topic: str, *payload: Any) -> int:
        """Sends to every member; how many took it."""
        return sum(taken(self.send, pid, topic, *payload) for pid in self.groups.members(group))

    # -- statistics

    def count_delivered(self) -> int:
        """How many messages have been put into mailboxes (PH8)."""
        self.touch("sent", None)
        mailboxes = (process.mailbox for process in self.processes.values())
        open = sum(box.appended() for box in mailboxes if isinstance(box, Routed))
        return self.delivered + self.hand.appended + open

    def statistics(self) -> NodeStatistics:
        """A snapshot (PH8)."""
        hosts = tuple(host.statistics() for host in self.hosts.values())
        return NodeStatistics(
            self.name,
            hosts,
            len(self.processes),
            self.count_delivered(),
            self.exits.total,
            self.dead_letters.count,
            max((host.longest_mailbox for host in hosts), default=0),
            max((host.oldest_unread for host in hosts), default=0.0),
        )
