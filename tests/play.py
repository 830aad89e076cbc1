"""A play: obedient actors, and a log of what happened in which order. For races."""

from __future__ import annotations

from typing import Any

import trio

from trio_actors import Exit, Host, Pid, ProcessContext, ProcessError


class Play:
    """One run: actors that obey, and a log of what happened in which order."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.node = host.node
        self.steps: list[str] = []
        self.ends: dict[str, Exit] = {}
        self.times: dict[str, float] = {}  # of the ends
        self.names: dict[str, str] = {}

    def actor(self, name: str, *, trap: bool = False) -> Pid:
        """An obedient process whose end is logged."""
        pid = self.host.spawn_soon(obey, self, name)
        self.node.processes[pid].trap_links = trap
        self.watch(name, pid)
        return pid

    def watch(self, name: str, pid: Pid) -> None:
        """Logs the end of a process; it must be its only one."""

        def ended(end: Exit) -> None:
            assert name not in self.ends, f"{name} ended twice"
            self.ends[name] = end
            self.times[name] = trio.current_time()
            self.steps.append(f"{name} ended")

        self.names[pid] = name
        self.node.processes[pid].on_exit(ended)

    def order(self, pid: Pid, op: str, *args: Any) -> None:
        """Tells an actor to do something."""
        self.node.send(pid, op, args)

    def before(self, first: str, second: str) -> bool:
        """Whether `first` happened, and before `second`."""
        steps = self.steps
        if first not in steps or second not in steps:
            return first in steps
        return steps.index(first) < steps.index(second)

    def how(self, name: str) -> str:
        """How a process ended."""
        end = self.ends[name]
        return str(end.error) if end.error else str(end.value)

    def events(self, pid: Pid) -> list[str]:
        """What a living process has got, as `kind name`."""
        channel: Any = self.node.processes[pid].mailbox
        events, found = channel.events(), []
        while True:
            try:
                event = events.receive_nowait()
            except trio.WouldBlock:
                return found
            found.append(f"{event.kind} {self.names[event.sender]}")

    async def clear(self) -> None:
        """Ends everybody, so that the next run begins with nothing."""
        self.node.install(None)
        for process in self.host.processes():
            self.node.terminate(process.pid)
        await self.host.join()
        assert (self.node.names.by_name, self.node.processes) == ({}, {})


async def obey(ctx: ProcessContext, play: Play, name: str) -> None:
    """Does what its messages say: `fail`, `return`, or a method of the context."""
    async for message in ctx.inbox:
        op, args = message.topic, message.payload
        if op == "fail":
            raise ProcessError(name)  # expected: not logged
        if op == "return":
            return
        try:
            getattr(ctx, op)(*args)
        except ProcessError as error:
            play.steps.append(f"{name} {op}: {error.kind}")
        else:
            play.steps.append(f"{name} {op}")
