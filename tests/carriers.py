"""A server whose handlers wait or do not, and what is true of its host afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio
import trio.testing

from trio_actors import (
    Ask,
    Exit,
    Host,
    Message,
    Pid,
    ProcessConflict,
    Request,
    Server,
    handles,
)
from trio_actors._core.dispatch import SPARES, Dispatcher, Vacant


@attrs.frozen
class Wait(Ask[str]):
    """Answered after so many seconds."""

    seconds: float = 1


@attrs.frozen
class Now(Ask[str]):
    """Answered without a wait."""


@attrs.frozen
class Refused(Ask[None]):
    """Refused after so many seconds."""

    seconds: float = 0


@attrs.frozen
class Later(Ask[str]):
    """Deferred."""


@attrs.frozen
class Do(Ask[Any]):
    """Awaits a function of the server in its handler; its value is the reply."""

    function: Callable[[Any], Any]


class Worker(Server):
    """Its handlers wait, or do not."""

    def init(self) -> None:
        self.seen: list[Any] = []
        self.kept: list[Request] = []

    @handles(Wait)
    async def wait(self, request: Wait) -> str:
        await trio.sleep(request.seconds)
        return "waited"

    @handles(Now)
    async def now(self, request: Now) -> str:
        return "now"

    @handles(Refused)
    async def refused(self, request: Refused) -> None:
        if request.seconds:
            await trio.sleep(request.seconds)
        raise ProcessConflict("no")

    @handles(Later)
    async def later(self, request: Later) -> str:
        self.kept.append(self.defer())
        await trio.sleep(1)
        return "ignored"

    @handles(Do)
    async def do(self, request: Do) -> Any:
        return await request.function(self)

    @handles("number")
    async def number(self, message: Message) -> None:
        if message.payload < 0:
            await trio.sleep(1)
        self.seen.append(message.payload)


def text(end: Exit) -> str:
    """An exit as text."""
    return str(end.error or end.value)


def dispatcher(host: Host) -> Dispatcher:
    """What steps the servers of the host."""
    return Dispatcher.of(host)


def carriers(host: Host) -> int:
    """How many tasks serve the host's servers."""
    assert host._nursery is not None
    coroutines = [task.coro for task in host._nursery.child_tasks]
    return sum(getattr(c, "__qualname__", "") == "Dispatcher._carry" for c in coroutines)


def kept(host: Host) -> int:
    """How many servers keep a task between messages."""
    return sum(getattr(p.drive, "_home", None) is not None for p in host.processes())


async def at_rest(host: Host) -> None:
    """Nothing is left to be stepped, and one carrier waits for more."""
    await trio.testing.wait_all_tasks_blocked()
    of = dispatcher(host)
    assert not of.ready
    assert of.parked is not None
    assert isinstance(of.parked, Vacant) or of.parked not in of._spares
    assert carriers(host) <= SPARES + 1 + kept(host)


async def waiting(host: Host, function: Callable[[Any], Any]) -> Pid:
    """A server whose handler awaits this function and has come to its first wait."""
    pid = await host.spawn(Worker)
    host.node.cast(pid, Do(function))
    await trio.testing.wait_all_tasks_blocked()
    return pid


def server_of(host: Host, pid: Pid) -> Any:
    """The server object of a process."""
    serving: Any = host.node.processes[pid].mailbox
    return serving.server
