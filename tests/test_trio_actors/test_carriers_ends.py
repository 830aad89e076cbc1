"""Servers with async handlers: how they end, whatever their handler does."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
import trio
import trio.testing
from carriers import (
    Do,
    Now,
    Wait,
    Worker,
    at_rest,
    server_of,
    text,
    waiting,
)
from roaming import unwind_slowly

import trio_actors
from trio_actors import (
    EventKind,
    Exit,
    Host,
    Message,
    Node,
    Pid,
    ProcessError,
    ProcessUnavailable,
    Server,
    handles,
    open_node,
)
from trio_actors.testing import Sim, explore

MOMENTS = ["before", "init", "handler", "between", "idle", "suspended"]


async def at(host: Host, moment: str, *, parting: bool = False) -> tuple[Pid, list[Any]]:
    """A server in the middle of something, and what it did from now on."""
    did: list[Any] = []

    class Busy(Worker):
        async def init(self) -> None:  # type: ignore[override]
            super().init()
            if moment == "init":
                await trio.sleep(5)

        @handles("next")
        async def next(self, message: Message) -> None:
            did.append("next")

        async def terminate(self, exit: Exit) -> None:
            did.append(text(exit))
            if parting:
                await trio.sleep(1)
            did.append("terminated")

    pid = host.spawn_soon(Busy)
    if moment != "before":
        await trio.testing.wait_all_tasks_blocked()
    if moment == "handler":
        host.node.cast(pid, Wait(5))
    elif moment == "between":

        async def many(server: Worker) -> None:
            await trio.sleep(1)
            for n in range(100):
                server.ctx.send(server.ctx.pid, "number", n)

        host.node.cast(pid, Do(many))
        await trio.sleep(1)
        seen = server_of(host, pid).seen
        while not seen:
            await trio.lowlevel.checkpoint()
        assert len(seen) < 100
    elif moment == "suspended":
        trio_actors.sys.suspend(host.node, pid)
    if moment != "between":
        await trio.sleep(0) if moment == "before" else await trio.testing.wait_all_tasks_blocked()
    return pid, did


@pytest.mark.parametrize("parting", [False, True])
@pytest.mark.parametrize("how", ["terminate", "deadline", "link", "abort"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_forced_end_at_any_moment(node: Node, moment: str, how: str, parting: bool) -> None:
    """T1, K6, K14, E37, TM2: no other message is handled, `terminate` is called once."""
    texts = {
        "terminate": "process terminated",
        "deadline": "cancel deadline exceeded",
        "link": "linked process failed",
        "abort": "process cancelled",
    }
    async with node.open_host("app:h", drain=30) as host:
        pid, did = await at(host, moment, parting=parting)
        if how == "link":
            peer = await host.spawn(Worker)
            node.topology.link(pid, peer)
            node.terminate(peer)
        elif how == "deadline":
            node.processes[pid].limit(trio.current_time() + 0.5, pid)
            if moment == "between":
                await trio.sleep(1)
        elif how == "abort":
            host.abort()
        else:
            node.terminate(pid)
        if how in ("terminate", "abort"):
            node.send(pid, "next")
        end = await node.wait(pid)
        if how != "abort":
            await at_rest(host)
    assert text(end) == texts[how]
    began = moment != "before" or did
    assert did == ([texts[how], "terminated"] if began else [])


@pytest.mark.parametrize("before", [True, False])
async def test_ending_oneself_takes_effect_at_the_next_checkpoint(host: Host, before: bool) -> None:
    """PY9: also before the first wait, when the handler has no task yet."""
    steps: list[str] = []

    async def function(server: Worker) -> None:
        if not before:
            await trio.sleep(1)
        server.ctx.terminate(server.ctx.pid)
        steps.append("after")
        await trio.lowlevel.checkpoint()
        steps.append("too late")

    pid = await host.spawn(Worker)
    host.node.cast(pid, Do(function))
    assert text(await host.node.wait(pid)) == "process terminated"
    assert steps == ["after"]
    await at_rest(host)


async def test_a_deadline_of_its_own_turn_is_seen_by_the_code(host: Host) -> None:
    """K6: before and after the first wait, and by no other server afterwards."""

    async def at_once(server: Worker) -> list[float]:
        server.ctx.cancel(server.ctx.pid, 5)
        return [trio.current_effective_deadline()]

    async def waiting(server: Worker) -> list[float]:
        found = await at_once(server)
        await trio.sleep(1)
        return [*found, trio.current_effective_deadline()]

    async def look(server: Worker) -> float:
        return trio.current_effective_deadline()

    for function in (at_once, waiting):
        start = trio.current_time()
        pid, other = await host.spawn(Worker), await host.spawn(Worker)
        assert set(await host.node.ask(pid, Do(function))) == {start + 5}
        assert await host.node.ask(other, Do(look)) == inf


@pytest.mark.parametrize("known", ["before", "during"])
async def test_a_deadline_is_seen_by_the_code(host: Host, known: str) -> None:
    """K6: `trio.current_effective_deadline()` is the deadline, before and after the first wait."""

    class Deaf(Worker):
        @handles(EventKind.CANCEL)
        def cancelled(self, event: Any) -> None:
            """Takes no notice."""

    async def function(server: Worker) -> list[float]:
        found = [trio.current_effective_deadline()]
        await trio.sleep(1)
        return [*found, trio.current_effective_deadline()]

    node = host.node
    pid = await host.spawn(Deaf)
    found: list[Any] = []

    async def ask() -> None:
        found.extend(await node.ask(pid, Do(function)))

    async with trio.open_nursery() as nursery:
        if known == "before":
            node.cancel(pid, 5)
            await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask)
        if known == "during":
            await trio.testing.wait_all_tasks_blocked()
            node.cancel(pid, 5)
    assert found == [5.0 if known == "before" else inf, 5.0]
    with pytest.raises(ProcessUnavailable):
        await node.ask(pid, Wait(10))
    assert text(await node.wait(pid)) == "cancel deadline exceeded"
    assert trio.current_time() == 5


async def test_a_swallowed_cancellation_changes_no_forced_end(host: Host) -> None:
    """E40, PY10: code that catches it and returns is ended all the same, and handles no more."""

    async def swallow(server: Worker) -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return "swallowed"

    pid = await waiting(host, swallow)
    server = server_of(host, pid)
    host.node.send(pid, "number", 1)
    host.node.terminate(pid)
    assert text(await host.node.wait(pid)) == "process terminated"
    assert server.seen == []
    other = await host.spawn(Worker)
    assert await host.node.ask(other, Wait()) == "waited"


@pytest.mark.parametrize("fails", [False, True])
async def test_a_nursery_in_a_handler_unwinds_before_the_end(
    host: Host, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """TM3, E40: its tasks are part of the process; what they raise meanwhile is logged."""
    steps: list[bool] = []
    node = host.node

    async def child(pid: Pid) -> None:
        try:
            await unwind_slowly(node, pid, steps)
        finally:
            if fails:
                raise ValueError("while unwinding")

    async def function(server: Worker) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, server.ctx.pid)
            nursery.start_soon(child, server.ctx.pid)

    pid = await waiting(host, function)
    node.terminate(pid)
    assert text(await node.wait(pid)) == "process terminated"
    assert (steps, trio.current_time()) == ([True, True], 3)
    assert bool(caplog.records) is fails
    await at_rest(host)


@pytest.mark.parametrize("moment", ["handler", "between", "idle", "suspended"])
async def test_an_upgrade_at_any_moment(host: Host, moment: str) -> None:
    """U3, PY11: the old code has unwound, unread messages are handled by the new code in order."""

    class New(Server):
        async def migrate(self, old_version: int, state: Any) -> None:  # type: ignore[override]
            await trio.sleep(1)
            self.seen: list[Any] = []

        @handles("number")
        async def number(self, message: Message) -> None:
            self.seen.append(message.payload)

    pid, did = await at(host, moment)
    old = server_of(host, pid)
    old.upgrade(New)
    host.node.send(pid, "number", 1000)
    await trio.sleep(2)
    assert old.seen + server_of(host, pid).seen == [
        *(range(100) if moment == "between" else ()),
        1000,
    ]
    assert did == []
    await at_rest(host)


async def test_a_failed_upgrade_is_an_end_with_a_terminate_that_may_wait(host: Host) -> None:
    """U5, E35: told once, and an abort meanwhile calls it no second time."""
    async with host.node.open_host("app:other") as other:
        pid, did = await at(other, "handler", parting=True)
        server_of(other, pid).upgrade("app:unknown")
        await trio.testing.wait_all_tasks_blocked()
        other.abort()
        end = await host.node.wait(pid)
    assert text(end).startswith("upgrade failed")
    assert did == [text(end), "terminated"]


@pytest.mark.parametrize("moment", [*MOMENTS, "terminate"])
async def test_a_process_that_is_given_up_harms_nobody(node: Node, moment: str) -> None:
    """SU8: what its code still does has no effect; the dispatcher goes on."""
    with pytest.raises(ProcessError, match="could not be stopped"):
        async with node.open_host("app:h", drain=0) as host:
            pid, did = await at(host, "idle" if moment == "terminate" else moment, parting=True)
            if moment == "terminate":
                node.terminate(pid)
                await trio.testing.wait_all_tasks_blocked()
            node.abandon(node.processes[pid], "given up")
            plain = host.spawn_soon(PlainWorker)
            node.abandon(node.processes[plain], "given up before its first turn")
            assert text(await node.wait(pid)) == "given up"
            other = await host.spawn(Worker)
            assert await node.ask(other, Wait(10)) == "waited"
            assert did == (["process terminated", "terminated"] if moment == "terminate" else [])
            await at_rest(host)


class PlainWorker(Server):
    """Stepped, without a task ever."""

    def init(self) -> None:
        self.begun = True


# -- the host


@pytest.mark.parametrize("where", ["before", "after", "terminate"])
@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
async def test_what_ends_the_program_stops_the_host_in_order(
    where: str, exception: type[BaseException], autojump_clock: trio.testing.MockClock
) -> None:
    """E38, SU9: raised before or after a wait or while cleaning up; held and idle servers stop."""
    ends: dict[str, str] = {}

    class Fatal(Worker):
        async def terminate(self, exit: Exit) -> None:
            await trio.sleep(1)
            if where == "terminate":
                raise exception

    async def function(server: Worker) -> None:
        if where == "after":
            await trio.sleep(1)
        if where == "terminate":
            server.stop("stopped")
        else:
            raise exception

    with pytest.raises(exception):
        async with open_node() as node, node.open_host("app:main") as host:
            for name in ("idle", "held", "fatal"):
                pid = await host.spawn(Fatal if name == "fatal" else Worker)

                def note(end: Exit, name: str = name) -> None:
                    ends[name] = text(end)

                node.processes[pid].on_exit(note)
                if name == "held":
                    node.cast(pid, Wait(3))
            node.cast(pid, Do(function))
            await trio.sleep_forever()
    fatal = "stopped" if where == "terminate" else "process cancelled"
    assert ends == {"idle": "None", "held": "None", "fatal": fatal}
    assert trio.current_time() == 3


async def test_an_abort_ends_each_server_once(node: Node) -> None:
    """E37: held, idle, about to begin, or spawned afterwards, with spare carriers."""
    called: list[str] = []

    class Parts(Worker):
        async def terminate(self, exit: Exit) -> None:
            called.append(self.ctx.pid)
            await trio.sleep(2)

    late: list[Pid] = []

    async def cleans_up(ctx: trio_actors.ProcessContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                late.append(ctx.process.host.spawn_soon(Parts))

    async with node.open_host("app:h") as host:
        pids = [await host.spawn(Parts) for _ in range(10)]
        async with trio.open_nursery() as nursery:
            for pid in pids:
                nursery.start_soon(node.ask, pid, Wait())
        await host.spawn(cleans_up)
        for pid in pids[:3]:
            node.cast(pid, Wait(5))
        await trio.testing.wait_all_tasks_blocked()
        pids.append(host.spawn_soon(Parts))
        host.abort()
        await trio.sleep(3)
    ends = [text(await node.wait(pid)) for pid in (*pids, *late)]
    assert ends == ["process cancelled"] * 12
    assert set(pids[:-1]) <= set(called)  # the one that was to begin may have begun
    assert len(called) == len(set(called))
    assert node.processes == {}
    assert trio.current_time() == 4


async def test_a_stop_of_the_host_lets_a_handler_finish(node: Node) -> None:
    """Z3: CANCEL is handled after the handler that waits, within the time."""
    async with node.open_host("app:h", drain=10) as host:
        pid = await host.spawn(Worker)
        node.cast(pid, Wait(5))
        await trio.testing.wait_all_tasks_blocked()
    assert text(await node.wait(pid)) == "None"
    assert trio.current_time() == 5


@pytest.mark.parametrize("end", ["terminate", "none"])
def test_a_simulation_runs_such_servers_the_same_way_again(end: str) -> None:
    """TS1: in each order of deliveries the same end, and each run can be repeated."""

    @explore(schedules=20, report=("text",))
    async def test(sim: Sim) -> None:
        replies: list[str] = []

        async def client(ctx: trio_actors.ProcessContext) -> None:
            try:
                for request in (Now(), Wait(2), Wait(2)):
                    replies.append(await ctx.ask("server", request))
            except ProcessError:
                replies.append("failed")

        pid = await sim.spawn(Worker, name="server")
        for name in ("a", "b"):
            await sim.spawn(client, name=name)
        await sim.run_for(3)
        if end == "terminate":
            sim.node.terminate(pid)
        await sim.settle()
        assert len(replies) == 6 if end == "none" else replies.count("failed") == 2

    test()
