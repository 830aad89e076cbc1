"""Servers with async handlers: a task while a handler waits, none while it does not."""

from __future__ import annotations

import contextvars
import gc
from collections.abc import Callable
from math import inf
from typing import Any

import attrs
import pytest
import trio
import trio.testing

import trio_actors
from trio_actors import (
    Ask,
    Bounded,
    EventKind,
    Exit,
    Host,
    Message,
    Node,
    Pid,
    ProcessConflict,
    ProcessError,
    ProcessTimeout,
    ProcessUnavailable,
    Request,
    Server,
    handles,
    open_node,
)
from trio_actors._core.dispatch import SPARES, Dispatcher, Vacant

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


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
    return sum("dispatcher" in task.name for task in host._nursery.child_tasks)


async def at_rest(host: Host) -> None:
    """Nothing is left to be stepped, and one carrier waits for more."""
    await trio.testing.wait_all_tasks_blocked()
    of = dispatcher(host)
    assert not of.ready
    assert of.parked is not None
    assert isinstance(of.parked, Vacant) or of.parked not in of._spares
    assert carriers(host) <= SPARES + 1


async def waiting(host: Host, function: Callable[[Any], Any]) -> Pid:
    """A server whose handler awaits this function and has come to its first wait."""
    pid = await host.spawn(Worker)
    host.node.cast(pid, Do(function))
    await trio.testing.wait_all_tasks_blocked()
    return pid


# -- tasks


async def test_servers_that_do_not_wait_share_one_task(host: Host) -> None:
    """TM2: a handler that waits for nothing needs no task."""
    pids = [await host.spawn(Worker) for _ in range(200)]
    assert [await host.node.ask(pid, Now()) for pid in pids] == ["now"] * 200
    assert carriers(host) == 1
    await at_rest(host)


async def test_free_carriers_are_kept_up_to_a_limit(host: Host) -> None:
    """TM2: as many tasks as handlers wait at a time; afterwards at most 64 spares."""
    pids = [await host.spawn(Worker) for _ in range(200)]
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for pid in pids:
                nursery.start_soon(host.node.ask, pid, Wait())
            await trio.sleep(0.5)
            assert carriers(host) >= 200
        await at_rest(host)
        assert carriers(host) == SPARES + 1


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


def server_of(host: Host, pid: Pid) -> Any:
    """The server object of a process."""
    serving: Any = host.node.processes[pid].mailbox
    return serving.server


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


# -- ends

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
        if how != "deadline" and pid in node.processes:
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
        except trio.Cancelled:  # noqa: TRIO103
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
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            steps.append(pid in node.processes)
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
    assert sorted(called) == sorted(pids[:-1])
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
            left = [o for o in gc.get_objects() if isinstance(o, Mine)]
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
