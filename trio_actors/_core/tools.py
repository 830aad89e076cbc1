"""What a `ProcessContext` offers beyond the contract: timers, tasks, groups, monitor handles."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Hashable,
    Iterable,
)
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core import operations
from trio_actors._core.bounded import limit_of
from trio_actors._core.duration import duration_seconds
from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.exit import Exit
from trio_actors._core.message import Message, payload_of, vet_topic
from trio_actors._core.owned import Tasks, Timers
from trio_actors._core.pid import Pid

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process


class Down:
    """A monitor as a handle: `exit = await down`, as often as wanted."""

    __slots__ = ("_ended", "exit", "pid")

    def __init__(self, pid: Pid) -> None:
        self.pid = pid
        self.exit: Exit | None = None
        self._ended = trio.Event()

    def ended(self, exit: Exit) -> None:
        """The process has ended."""
        self.exit = exit
        self._ended.set()

    async def wait(self) -> Exit:
        """How the process ended. Checkpoint: always."""
        await self._ended.wait()
        assert self.exit is not None
        return self.exit

    def __await__(self) -> Generator[Any, None, Exit]:
        return self.wait().__await__()


class ProcessTools:
    """Mixed into `ProcessContext`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def process(self) -> Process:
            """See ProcessContext."""
            ...

        @property
        def node(self) -> Node:
            """See ProcessContext."""
            ...

        def checkpoint(self) -> Coroutine[Any, Any, None]:
            """See ProcessContext."""
            ...

    # -- backpressure

    async def asend(self, dest: str, topic: str, *payload: Any) -> None:
        """As `send`, and waits for room in a mailbox `Bounded(..., overflow="block")`.

        Checkpoint: always. Raises: as `send`; ProcessInvalid for the process's own full mailbox,
        which only it could empty; ProcessNotFound if the receiver ends meanwhile.
        """
        await asend(self.node, self.process, dest, topic, payload_of(payload))

    # -- monitors as handles

    @asynccontextmanager
    async def monitoring(self, dest: str) -> AsyncIterator[Down]:
        """`async with ctx.monitoring(pid) as down: exit = await down`; no EXIT event comes.

        Checkpoint: when it is entered. Raises: as `monitor`, save that any number of handles may
        watch one process.
        """
        async with self.monitoring_all([dest]) as downs:
            yield downs.handles[0]

    @asynccontextmanager
    async def monitoring_all(self, dests: Iterable[str]) -> AsyncIterator[Downs]:
        """`async with ctx.monitoring_all(pids) as downs: async for down in downs: ...`.

        Yields the handles in the order of the ends, each once, then stops. Checkpoint: when it is
        entered, after the monitors are there.
        """
        try:
            downs = Downs([self._watchable(dest) for dest in dests])
        except Exception:
            await self.checkpoint()  # noqa: ASYNC120
            raise
        try:
            await self.checkpoint()
            yield downs
        finally:
            downs.close()

    def _watchable(self, dest: str) -> Process:
        node = self.node
        pid = operations.resolve(node, dest)
        operations.require(node, self.process, "process.monitor", pid, dest)
        return operations.alive(node, pid, "pid not registered")

    # -- timers

    def send_after(
        self,
        delay: float | str,
        topic: str,
        *payload: Any,
        key: Hashable | None = None,
    ) -> Hashable:
        """Sends a message to this process once, after `delay` (seconds or text); returns its key.

        A timer with a key replaces the one of the same key. Timers end with the process.
        """
        return self._arm(delay, topic, payload, key, repeat=False)

    def send_interval(
        self,
        period: float | str,
        topic: str,
        *payload: Any,
        key: Hashable | None = None,
    ) -> Hashable:
        """Sends a message to this process every `period`, without drift; returns its key."""
        return self._arm(period, topic, payload, key, repeat=True)

    def cancel_timer(self, key: Hashable) -> bool:
        """The timer sends nothing more, not even late; False if it was not pending."""
        timers = self.process.timers
        return timers is not None and timers.cancel(key)

    def _arm(
        self,
        delay: float | str,
        topic: str,
        payload: tuple[Any, ...],
        key: Hashable | None,
        *,
        repeat: bool,
    ) -> Hashable:
        vet_topic(topic)
        process = self.process
        seconds = duration_seconds(delay)
        if repeat and seconds <= 0:
            raise make_error(ErrorKind.INVALID, "period must be greater than 0")
        if process.timers is None:
            process.timers = Timers(process)
        message = Message(topic, process.pid, payload_of(payload))
        due = process.node.now() + seconds
        return process.timers.arm(due, message, key, seconds if repeat else None)

    # -- tasks

    def start_task(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Starts `await function(*args)` as a task of this process.

        It is cancelled when the process's code has ended, and the process has ended only after
        it. If it raises, the process ends with that error.
        """
        process = self.process
        if process.tasks is None:
            process.tasks = Tasks(process)
        process.tasks.start(function, args)

    # -- groups

    def join(self, group: str) -> None:
        """Enters a group; repeatable. The process leaves all groups when it ends."""
        self.node.join_group(group, self.process)

    def leave(self, group: str) -> bool:
        """Leaves a group; False if it was no member."""
        return self.node.leave_group(group, self.process.pid)

    def members(self, group: str) -> list[Pid]:
        """Who is in a group, oldest member first."""
        return self.process.node.groups.members(group)

    def watch_group(self, group: str, topic: str = "group") -> list[Pid]:
        """Sends this process a `GroupChange` under `topic` for every change; returns the members.

        No change is missed between the returned list and the first message.
        """
        vet_topic(topic)
        return self.node.watch_group(group, self.process, topic)

    def unwatch_group(self, group: str) -> None:
        """Takes `watch_group` back."""
        self.node.groups.unwatch(group, self.process.pid)

    def broadcast(self, group: str, topic: str, *payload: Any) -> int:
        """Sends to every member but itself; how many took it. A full mailbox is passed over."""
        node, process = self.node, self.process
        value = payload_of(payload)
        return sum(
            operations.taken(operations.send, node, process, pid, topic, value)
            for pid in node.groups.members(group)
            if pid != process.pid
        )


class Downs:
    """Several monitors as one async iterator over the ends."""

    __slots__ = ("_ended", "_send", "_targets", "handles")

    def __init__(self, targets: list[Process]) -> None:
        self.handles = [Down(process.pid) for process in targets]
        self._send, self._ended = trio.open_memory_channel[Down](max(1, len(targets)))
        self._targets = []
        for process, down in zip(targets, self.handles, strict=True):
            watcher = self._watcher(down)
            process.on_exit(watcher)
            self._targets.append((process, watcher))

    def _watcher(self, down: Down) -> Callable[[Exit], None]:
        def ended(exit: Exit) -> None:
            down.ended(exit)
            self._send.send_nowait(down)

        return ended

    async def __aiter__(self) -> AsyncIterator[Down]:
        for _ in self.handles:
            yield await self._ended.receive()

    def close(self) -> None:
        """Takes the monitors back."""
        for process, watcher in self._targets:
            process.forget(watcher)
        self._targets.clear()  # each watcher knows this object: they would be in a cycle
        self._send.close()
        self._ended.close()


async def asend(node: Node, caller: Process | None, dest: str, topic: str, payload: Any) -> None:
    """See `ProcessTools.asend`."""
    await trio.lowlevel.checkpoint()
    vet_topic(topic)
    target = node.processes.get(operations.resolve(node, dest))
    limit = None if target is None else limit_of(target)
    if target is not None and limit is not None and limit.blocks:
        if caller is target and limit.full:
            raise make_error(ErrorKind.INVALID, "a process cannot wait for room in its own mailbox")
        if caller is not None:
            operations.require(node, caller, "process.send", target.pid, dest)
        await limit.wait_for_room()
        try:
            operations.send(node, caller, dest, topic, payload)
        finally:
            limit.pass_on()
        return
    operations.send(node, caller, dest, topic, payload)
