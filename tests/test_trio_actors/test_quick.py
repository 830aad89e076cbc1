"""Plain servers that are started in one piece (quick.py) are like all others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import trio_actors
from trio_actors import (
    Ask,
    Exit,
    Host,
    Message,
    ProcessError,
    ProcessInvalid,
    ProcessUnavailable,
    Server,
    handles,
    open_node,
)
from trio_actors._core.process import Process

LOG: list[Any] = []


class Get(Ask[int]):
    """How many notes came."""


class Late(Server):
    """Has no `init`: it is made when its first code comes."""

    count = 0

    @handles("note")
    def note(self, message: Message) -> None:
        """Counts."""
        self.count += 1
        LOG.append(("note", self.ctx.pid, message.payload))

    @handles(Get)
    def get(self, request: Get) -> int:
        """Says the number."""
        return self.count

    @handles("again")
    def again(self, message: Message) -> None:
        """Goes on as the same class."""
        self.upgrade(None, self.count)

    def migrate(self, old_version: int, state: int) -> None:
        """Keeps the number."""
        self.count = state

    @handles("fail")
    def fail(self, message: Message) -> None:
        """Fails."""
        raise ValueError("as told")


class Parting(Late):
    """The same, and says that it goes."""

    def terminate(self, exit: Exit) -> None:
        """Says how it ended."""
        LOG.append(("over", self.ctx.pid, self.count, repr(exit)))


class Begun(Parting):
    """The same with an `init`."""

    def init(self, count: int = 0) -> None:
        """Begins to count elsewhere."""
        self.count = count


def new(host: Host, server: type[Server], quick: bool, *args: Any) -> str:
    """Started in one piece, or in the general way."""
    return host.spawn_soon(server, *args) if quick else host.spawn_soon(server, *args, context={})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["note", "again", "fail", "turn", "suspend", "resume", "ask", "cancel", "kill"]
        ),
        st.integers(0, 2),
    ),
    max_size=12,
)


async def _run(steps: list[tuple[str, int]], quick: bool) -> list[Any]:
    LOG.clear()
    async with open_node() as node, node.open_host("app:test", drain=0) as host:
        classes: list[tuple[type[Server], tuple[Any, ...]]]
        classes = [(Late, ()), (Parting, ()), (Begun, (5, "surplus"))]
        pids = [new(host, cls, quick, *args) for cls, args in classes]
        LOG.append([(pid, node.processes[pid].doing()) for pid in pids])
        for step, which in steps:
            pid = pids[which]
            try:
                if step == "turn":
                    await wait_all_tasks_blocked()
                    LOG.append(
                        [(p, node.processes[p].doing()) for p in pids if p in node.processes]
                    )
                elif step == "suspend":
                    trio_actors.sys.suspend(node, pid)
                elif step == "resume":
                    trio_actors.sys.resume(node, pid)
                elif step == "ask":
                    with trio.move_on_after(1):
                        answer = await node.ask(pid, Get())
                        await wait_all_tasks_blocked()  # how far others are depends on the time
                        LOG.append(answer)
                elif step == "cancel":
                    node.cancel(pid)
                elif step == "kill":
                    node.terminate(pid)
                else:
                    node.send(pid, step, len(LOG))
                LOG.append(trio_actors.sys.get_state(node, pid))
            except ProcessError as error:
                await wait_all_tasks_blocked()
                LOG.append(repr(error))
        await wait_all_tasks_blocked()
        LOG.append([repr(record and record.exit) for record in map(node.exits.get, pids)])
    return list(LOG)


@given(STEPS)
def test_servers_started_in_one_piece_do_what_all_others_do(steps: list[tuple[str, int]]) -> None:
    """PH5, TM2: for each history it is the same what they do, what is seen, and how they end."""

    async def main() -> None:
        assert await _run(steps, quick=True) == await _run(steps, quick=False)

    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(main, clock=clock)


async def test_a_server_without_init_is_made_for_its_first_code(host: Host) -> None:
    """TM2: it has no attributes before, like any other; its `terminate` runs, if that is first."""
    LOG.clear()
    made = list[str]()

    class Counted(Parting):
        def __new__(cls) -> Counted:
            made.append(cls.__name__)
            return super().__new__(cls)

    idle, ended = (host.spawn_soon(Counted) for _ in range(2))
    await wait_all_tasks_blocked()
    assert (made, trio_actors.sys.get_state(host.node, idle)) == ([], {})
    host.node.terminate(ended)
    await wait_all_tasks_blocked()
    assert made == ["Counted"]
    assert [entry[:3] for entry in LOG] == [("over", ended, 0)]
    host.node.send(idle, "note")
    await wait_all_tasks_blocked()
    assert made == ["Counted"] * 2
    assert trio_actors.sys.get_state(host.node, idle) == {"count": 1}


async def test_a_start_in_one_piece_is_refused_like_any_other() -> None:
    """Z2, Z5: by a host that is full, and by one that stops."""
    async with open_node() as node:
        async with node.open_host("app:full", max_processes=1, drain=0) as full:
            full.spawn_soon(Late)
            with pytest.raises(ProcessUnavailable, match="host is full"):
                full.spawn_soon(Late)
            assert full.alive == 1
        with pytest.raises(ProcessUnavailable):
            full.spawn_soon(Late)
        assert (full.alive, len(node.processes)) == (0, 0)


class Busy(Server):
    """Does in its `init` what it is told, and says what it sees."""

    async def _wait(self, processes: dict[str, Any]) -> None:
        try:
            await trio.sleep(1)
        finally:
            LOG.append(("unwound", self.ctx.pid in processes))

    def init(self, actions: tuple[str, ...], peer: str | None) -> None:
        """One after the other."""
        ctx = self.ctx
        for action in actions:
            try:
                if action == "stop":
                    self.stop()
                elif action == "value":
                    self.stop(action)
                elif action == "send":
                    ctx.send(ctx.pid, "note", action)
                elif action == "peer" and peer is not None:
                    ctx.send(peer, "note", action)
                elif action == "link" and peer is not None:
                    ctx.link(peer)
                elif action == "register":
                    ctx.register(f"busy {ctx.pid}")
                elif action == "terminate":
                    ctx.terminate(ctx.pid)
                elif action == "cancel":
                    ctx.cancel(ctx.pid, 5)
                elif action == "task":
                    ctx.start_task(self._wait, ctx.node.processes)
                elif action == "upgrade":
                    self.upgrade(Late, 7)
                elif action == "defer":
                    self.defer()
                elif action == "look":
                    LOG.append(
                        (ctx.process.doing(), trio_actors.sys.view(ctx.node, ctx.pid).mailbox)
                    )
                    LOG.append(sorted(trio_actors.sys.get_state(ctx.node, ctx.pid)))
                elif action == "suspend":
                    trio_actors.sys.suspend(ctx.node, ctx.pid)
                elif action == "fail":
                    raise ValueError(action)
            except ProcessError as error:
                LOG.append((action, repr(error)))

    @handles("note")
    def note(self, message: Message) -> None:
        """Says so."""
        LOG.append(("note", self.ctx.pid, message.payload))


class BusyParting(Busy):
    """The same, and says that it goes."""

    def terminate(self, exit: Exit) -> None:
        """Says how it ended."""
        LOG.append(("over", self.ctx.pid, repr(exit)))


WORDS = "stop value send peer link register terminate cancel task upgrade defer look suspend fail"
ACTIONS = st.lists(st.sampled_from(WORDS.split(" ")), max_size=4).map(tuple)
BEFORE = st.sampled_from(["", "send", "cancel", "terminate", "suspend", "look"])


async def _begin_busily(
    server: type[Server], actions: tuple[str, ...], before: str, quick: bool
) -> list[Any]:
    LOG.clear()
    async with open_node() as node, node.open_host("app:test", drain=0) as host:
        peer = host.spawn_soon(Late)
        busy = new(host, server, quick, actions, peer)
        if before == "send":
            node.send(busy, "note", before)
        elif before == "cancel":
            node.cancel(busy, 3)
        elif before == "terminate":
            node.terminate(busy)
        elif before == "suspend":
            trio_actors.sys.suspend(node, busy)
        elif before == "look":
            LOG.append(trio_actors.sys.get_state(node, busy))
        for _ in range(2):
            await wait_all_tasks_blocked()
            living = [p.doing() for p in node.processes.values()]
            LOG.append((living, dict(node.names.by_name), node.topology.links_of(peer)))  # type: ignore[arg-type]
            await trio.sleep(4)
        LOG.append([repr(record and record.exit) for record in map(node.exits.get, (peer, busy))])
    return list(LOG)


@given(st.sampled_from([Busy, BusyParting]), ACTIONS, BEFORE)
def test_an_init_in_one_piece_does_what_all_others_do(
    server: type[Server], actions: tuple[str, ...], before: str
) -> None:
    """TM2, V20: whatever happens before and in `init`, the server is the same and ends the same."""

    async def main() -> None:
        quick = await _begin_busily(server, actions, before, quick=True)
        assert quick == await _begin_busily(server, actions, before, quick=False)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_a_start_in_one_piece_fills_in_the_whole_record(host: Host) -> None:
    """PH5: the same attributes with the same values as of a process started in the general way."""

    def record(pid: str) -> dict[str, Any]:
        process = host.node.processes[pid]
        own = ("pid", "mailbox", "entrance", "drive")
        return {name: getattr(process, name) for name in Process.__slots__ if name not in own}

    assert record(new(host, Late, True)) == record(new(host, Late, False))


async def test_a_server_knows_how_long_it_has_been_there(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """PH8: also if nothing has looked at the clock for long when it is started."""
    node = host.node
    first = host.spawn_soon(Late)
    await trio.sleep(100)
    node.send(first, "note")
    late = host.spawn_soon(Begun)
    assert trio_actors.sys.view(node, late).uptime == 0
    await trio.sleep(5)
    uptimes = [trio_actors.sys.view(node, pid).uptime for pid in (first, late)]
    assert uptimes == [105, 5]


async def test_a_server_that_was_traced_before_its_first_message_is_like_any_other(
    host: Host,
) -> None:
    """M12: the trace stands before the server, and leaves nothing behind."""
    node = host.node
    pid = host.spawn_soon(Late)
    await wait_all_tasks_blocked()
    seen: list[Any] = []
    with trio_actors.sys.trace(node, pid, seen.append):
        node.send(pid, "note")
        await wait_all_tasks_blocked()
    process = node.processes[pid]
    assert ([item.topic for item in seen], process.entrance) == (["note"], process.mailbox)
    assert await node.ask(pid, Get()) == 1


async def test_many_servers_begin_in_the_order_in_which_they_were_started(host: Host) -> None:
    """TS4: those that have nothing to do then begin between the others, each once."""
    node = host.node
    seen: list[list[str]] = []

    class Looking(Server):
        def init(self) -> None:
            seen.append([process.doing() for process in node.processes.values()])

    for _ in range(2):
        for _ in range(200):
            host.spawn_soon(Late)
        host.spawn_soon(Looking)
    await wait_all_tasks_blocked()
    assert seen == [
        ["idle"] * 201 + ["ready"] * 201,
        ["idle"] * 402,
    ]


async def test_a_class_that_cannot_be_made_is_refused_by_the_spawn(host: Host) -> None:
    """E6: with an `init` it is made in the spawn if making it may fail."""

    class Abstract(Server, ABC):
        def init(self) -> None: ...

        @abstractmethod
        def missing(self) -> None: ...

    class Unmade(Server):
        def __new__(cls) -> Unmade:
            raise ProcessInvalid("not today")

        def init(self) -> None: ...

    with pytest.raises(TypeError, match="abstract"):
        host.spawn_soon(Abstract)
    with pytest.raises(ProcessInvalid, match="not today"):
        host.spawn_soon(Unmade)
    assert (host.alive, len(host.node.processes)) == (0, 0)
