"""Servers with async handlers: a task while a handler waits, none while it does not."""

from __future__ import annotations

import contextlib
import contextvars
import gc
from math import inf
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from carriers import (
    Do,
    Later,
    Now,
    Refused,
    Wait,
    Worker,
    at_rest,
    carriers,
    kept,
    server_of,
    waiting,
)

import trio_actors
from trio_actors import (
    Ask,
    Bounded,
    Exit,
    Host,
    Message,
    Node,
    Pid,
    ProcessConflict,
    ProcessError,
    ProcessTimeout,
    ProcessUnavailable,
    Server,
    handles,
)
from trio_actors._core.carried import Carried
from trio_actors._core.dispatch import SPARES

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


# -- tasks


async def test_servers_that_do_not_wait_share_one_task(host: Host) -> None:
    """TM2: a handler that waits for nothing needs no task."""
    pids = [await host.spawn(Worker) for _ in range(200)]
    assert [await host.node.ask(pid, Now()) for pid in pids] == ["now"] * 200
    assert carriers(host) == 1
    await at_rest(host)


async def test_a_server_that_has_waited_keeps_its_task(host: Host) -> None:
    """TM2: as many tasks as servers that have waited; when these have ended at most 64 spares."""
    pids = [await host.spawn(Worker) for _ in range(200)]
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for pid in pids:
                nursery.start_soon(host.node.ask, pid, Wait())
            await trio.sleep(0.5)
            assert carriers(host) >= 200
        await at_rest(host)
        assert kept(host) == 200
    for pid in pids:
        assert await host.node.ask(pid, Now()) == "now"
        host.node.terminate(pid)
    await at_rest(host)
    assert kept(host) == 0
    assert carriers(host) == SPARES + 1


class Keeper(Server):
    """Opens a nursery in `init`, without waiting."""

    async def init(self) -> None:
        self.lock = trio.Lock()
        self.stack = contextlib.AsyncExitStack()
        self.nursery = await self.stack.enter_async_context(trio.open_nursery())
        self.ended = 0

    async def run(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.ended += 1

    @handles("start")
    async def start(self, message: Message) -> None:
        self.nursery.start_soon(self.run)

    @handles("lock")
    async def acquire(self, message: Message) -> None:
        await self.lock.acquire()

    @handles("unlock")
    async def release(self, message: Message) -> None:
        self.lock.release()

    @handles("stop")
    async def leave(self, message: Message) -> None:
        self.nursery.cancel_scope.cancel()
        await self.stack.aclose()
        self.stop()

    @handles("leave open")
    async def leave_open(self, message: Message) -> None:
        self.stop()

    @handles("fail")
    async def fail(self, message: Message) -> None:
        raise ProcessError("failed")


async def test_a_nursery_and_a_lock_may_stay_open_between_messages(host: Host) -> None:
    """TM2, TM3: they belong to the task of the server, which it keeps."""
    node = host.node
    keepers = [await host.spawn(Keeper) for _ in range(2)]
    worker = await host.spawn(Worker)
    servers = [server_of(host, pid) for pid in keepers]
    for topic in ("start", "lock", "unlock", "lock", "start", "unlock"):
        for pid in keepers:
            node.send(pid, topic)
        await trio.testing.wait_all_tasks_blocked()
        assert await node.ask(worker, Now()) == "now"
    node.send(keepers[0], "stop")
    assert (await node.wait(keepers[0])).error is None
    assert [server.ended for server in servers] == [2, 0]
    node.send(keepers[1], "stop")
    assert (await node.wait(keepers[1])).error is None


@pytest.mark.parametrize("end", ["leave open", "fail", "terminate", "abort"])
async def test_a_nursery_that_is_left_open_is_an_error_at_once(node: Node, end: str) -> None:
    """E38: Trio's own error, in the host; the nursery's tasks and the other processes end."""
    with pytest.raises(RuntimeError, match="stack corrupted"):
        async with node.open_host("app:keepers", drain=5) as host:
            pid = await host.spawn(Keeper)
            server = server_of(host, pid)
            for _ in range(3):
                await host.spawn(Worker)
            node.send(pid, "start")
            await trio.testing.wait_all_tasks_blocked()
            if end == "abort":
                host.abort()
            elif end == "terminate":
                node.terminate(pid)
            else:
                node.send(pid, end)
            await trio.sleep(1)
    assert server.ended == 1
    assert not node.processes


async def test_a_handler_that_raises_generator_exit_ends_only_its_server(node: Node) -> None:
    """E38: it is no Exception, so it leaves through the host, and others stop in order."""

    class Odd(Server):
        @handles("go")
        async def go(self, message: Message) -> None:
            raise GeneratorExit

    ended: list[str] = []
    with pytest.raises(GeneratorExit):
        async with node.open_host("app:odd", drain=5) as host:
            other = await host.spawn(Worker)
            node.processes[other].on_exit(lambda exit: ended.append(str(exit.error)))
            node.send(await host.spawn(Odd), "go")
            await trio.sleep_forever()
    assert ended == ["None"]


async def test_a_handler_runs_in_one_task_from_its_first_to_its_last_line(host: Host) -> None:
    """TM3: nurseries, scopes and locks of a handler are what they are in any task."""
    lock = trio.Lock()

    async def function(server: Worker) -> tuple[Any, ...]:
        first = trio.lowlevel.current_task()
        async with lock, trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            with trio.move_on_after(0.5) as scope:
                await trio.sleep_forever()
        return first is trio.lowlevel.current_task(), scope.cancelled_caught

    pids = [await host.spawn(Worker) for _ in range(2)]
    replies: list[Any] = []

    async def ask(pid: Pid) -> None:
        replies.append(await host.node.ask(pid, Do(function)))

    async with trio.open_nursery() as nursery:
        for pid in pids:
            nursery.start_soon(ask, pid)
    assert replies == [(True, True)] * 2
    assert trio.current_time() == 2


async def test_others_are_stepped_while_a_handler_waits(host: Host) -> None:
    """TM2: in the turn in which the handler began to wait, and later."""
    waits, other = await host.spawn(Worker), await host.spawn(Worker)
    host.node.cast(waits, Wait(5))
    assert await host.node.ask(other, Now()) == "now"
    assert await host.node.ask(other, Wait(1)) == "waited"
    assert trio.current_time() == 1
    await at_rest(host)


async def test_a_cancelled_or_limited_carrier_harms_no_other_server(host: Host) -> None:
    """TM2, K6: what was cancelled or has a deadline is of one server only."""
    node = host.node
    for end in (node.terminate, lambda pid: node.cancel(pid, 2)):
        pid = await waiting(host, lambda server: trio.sleep(1))
        end(pid)
        await node.wait(pid)
        other = await host.spawn(Worker)

        async def deadline(server: Worker) -> tuple[float, float]:
            before = trio.current_effective_deadline()
            await trio.sleep(3)
            return before, trio.current_effective_deadline()

        assert await node.ask(other, Do(deadline)) == (inf, inf)
    await at_rest(host)


# -- messages


async def test_order_is_kept_whether_handlers_wait_or_not(host: Host) -> None:
    """M12: no message overtakes one whose handler waits; more than one turn's worth of them."""
    pid = await host.spawn(Worker)
    numbers = [-n if n % 100 == 1 else n for n in range(1, 500)]
    for number in numbers:
        host.node.send(pid, "number", number)
    await trio.sleep(1.5)
    host.node.send(pid, "number", 500)
    await trio.sleep(10)
    assert server_of(host, pid).seen == [*numbers, 500]


async def test_a_server_that_has_a_task_handles_32_messages_between_checkpoints(
    host: Host,
) -> None:
    """Fairness: as any task that reads; another task runs after at most 32."""

    class Longest(trio.abc.Instrument):
        """Notes how many messages are handled between two steps of a task."""

        longest = before = 0

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            self.longest = max(self.longest, len(seen) - self.before)
            self.before = len(seen)

    async def function(server: Worker) -> None:
        await trio.sleep(1)
        for n in range(1, 200):
            server.ctx.send(server.ctx.pid, "number", n)

    pid = await waiting(host, function)
    seen = server_of(host, pid).seen
    instrument = Longest()
    trio.lowlevel.add_instrument(instrument)
    await trio.sleep(2)
    trio.lowlevel.remove_instrument(instrument)
    assert len(seen) == 199
    assert instrument.longest <= 32


async def test_a_limited_mailbox_has_room_as_messages_are_handled(host: Host) -> None:
    """M13: what a waiting handler has not taken counts, and who waits for room is served."""
    node = host.node
    pid = await host.spawn(Worker, mailbox=Bounded(2, overflow="block"))
    for number in (-1, 2, 3):
        await node.asend(pid, "number", number)
    with pytest.raises(ProcessUnavailable, match="mailbox is full"):
        node.send(pid, "number", 4)
    await node.asend(pid, "number", 4)
    assert trio.current_time() == 1
    await trio.testing.wait_all_tasks_blocked()
    assert server_of(host, pid).seen == [-1, 2, 3, 4]


async def test_requests_are_answered_before_and_after_a_wait(host: Host) -> None:
    """An ask ends in one of reply, refusal, timeout; the server lives."""
    node = host.node
    pid = await host.spawn(Worker)
    for seconds in (0, 1):
        with pytest.raises(ProcessConflict, match=r"^no$"):
            await node.ask(pid, Refused(seconds))
    with pytest.raises(ProcessTimeout):
        await node.ask(pid, Wait(2), timeout=1)
    with trio.move_on_after(0.5):
        await node.ask(pid, Wait(1))
    assert await node.ask(pid, Now()) == "now"
    await at_rest(host)


async def test_a_deferred_request_is_answered_or_dropped_after_the_wait(host: Host) -> None:
    """A handler that defers and waits: its value is ignored, a dropped request is told."""
    node = host.node
    pid = await host.spawn(Worker)
    replies: list[str] = []

    async def ask() -> None:
        try:
            replies.append(await node.ask(pid, Later()))
        except ProcessUnavailable as error:
            replies.append(error.message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(2)
        server_of(host, pid).kept.pop().reply("later")
        nursery.start_soon(ask)
        await trio.sleep(2)
        server_of(host, pid).kept.pop()
    assert replies == ["later", "request Later was dropped without a reply"]


async def test_a_host_that_copies_copies_for_waiting_handlers_too(node: Node) -> None:
    """M26: neither payload nor reply is shared."""
    async with node.open_host("app:copies", copy_messages=True, drain=0) as host:
        pid = await host.spawn(Worker)
        sent: list[int] = [1]

        @attrs.define
        class Both(Ask[list[int]]):
            value: list[int]

        class Echo(Server):
            @handles(Both)
            async def both(self, request: Both) -> list[int]:
                await trio.sleep(1)
                self.last = request.value
                return self.last

        pid = await host.spawn(Echo)
        reply = await node.ask(pid, Both(sent))
        assert reply == sent
        assert reply is not sent
        assert reply is not server_of(host, pid).last


# -- context


async def test_context_variables_belong_to_one_server(host: Host) -> None:
    """What `init` sets is seen later, before and after waits and in child tasks; by nobody else."""

    async def look(server: Worker) -> list[str]:
        found = [VARIABLE.get()]
        await trio.sleep(1)

        async def child() -> None:
            found.append(VARIABLE.get())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        return [*found, VARIABLE.get()]

    class Sets(Worker):
        def init(self, value: str | None) -> None:
            super().init()
            if value is not None:
                VARIABLE.set(value)

    VARIABLE.set("spawner")
    pids = [await host.spawn(Sets, value) for value in ("a", "b", None)]
    found = [await host.node.ask(pid, Do(look)) for pid in pids]
    assert found == [["a"] * 3, ["b"] * 3, ["spawner"] * 3]
    assert VARIABLE.get() == "spawner"


async def test_the_running_process_is_known_wherever_its_code_runs(host: Host) -> None:
    """DE12: `current()` before and after a wait, in nurseries, child tasks and `terminate`."""
    found: list[Pid] = []

    def note() -> None:
        found.append(trio_actors.current().pid)

    async def child() -> None:
        note()

    class Knows(Worker):
        async def terminate(self, exit: Exit) -> None:
            note()
            await trio.sleep(1)
            note()

    async def look(server: Worker) -> None:
        note()
        await trio.sleep(1)
        note()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        server.ctx.start_task(child)

    for abort in (False, True):
        found.clear()
        async with host.node.open_host(f"app:{abort}", drain=10) as other:
            pid = await other.spawn(Knows)
            await host.node.ask(pid, Do(look))
            await host.spawn(Worker)
            if abort:
                await trio.sleep(1)
                other.abort()
        assert found == [pid] * 6


# -- what is left


@pytest.mark.parametrize("end", ["terminate", "return", "fail", "abandon"])
@pytest.mark.parametrize("held", [True, False])
async def test_an_ended_server_is_freed_at_once(node: Node, end: str, held: bool) -> None:
    """V20: without the garbage collector, though its carrier is kept as a spare."""

    class Mine(Worker):
        pass

    async def function(server: Worker) -> None:
        if held:
            await trio.sleep(1)
        if end == "return":
            server.stop()
        elif end == "fail":
            raise ProcessError("failed")

    async def live(host: Host) -> None:
        for _ in range(5):
            pid = await host.spawn(Mine)
            node.cast(pid, Do(function))
            await trio.sleep(0.5)
            if end == "terminate":
                node.terminate(pid)
            elif end == "abandon":
                node.abandon(node.processes[pid], "given up")
                host.zombies.clear()
            await trio.sleep(2)

    async with node.open_host("app:h", drain=0) as host:
        await live(host)
        gc.collect()
        gc.disable()
        try:
            await live(host)
            left = [o for o in gc.get_objects() if isinstance(o, (Mine, Carried))]
        finally:
            gc.enable()
        assert not left
        assert not host.alive


async def test_a_living_server_keeps_nothing_of_what_it_has_handled(host: Host) -> None:
    """Memory: neither message nor reply nor task is held while a server is idle."""

    class Thing:
        pass

    async def function(server: Worker) -> Thing:
        await trio.sleep(1)
        return Thing()

    pid = await host.spawn(Worker)
    gc.collect()
    gc.disable()
    try:
        await host.node.ask(pid, Do(function))
        host.node.cast(pid, Do(function))
        await trio.sleep(2)
        left = [o for o in gc.get_objects() if isinstance(o, (Do, Thing))]
    finally:
        gc.enable()
    assert not left


async def test_a_dump_shows_where_a_handler_waits(host: Host) -> None:
    """A stuck program can be looked into: the line of a handler, none of an idle server."""

    async def function(server: Worker) -> None:
        await trio.sleep_forever()  # this line

    held, idle = await waiting(host, function), await host.spawn(Worker)
    await trio.testing.wait_all_tasks_blocked()
    lines = trio_actors.sys.dump(host.node).splitlines()
    shown = {pid: [line for line in lines if pid in line] for pid in (held, idle)}
    assert [line.endswith("# this line") for line in shown[held]] == [True]
    assert ["test_carriers" in line.partition("waits")[2] for line in shown[idle]] == [False]
    doing = {pid: host.node.processes[pid].doing() for pid in (held, idle)}
    assert doing == {held: "blocked", idle: "idle"}
