"""Nodes and hosts (processes.md §12, §15.3; TM1-TM7)."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
import trio.testing
from carriers import text
from stage import EXIT, PUPPETS, Stage
from unwinding import slow_to_end

from trio_actors import (
    EventKind,
    Exit,
    Host,
    Node,
    Pid,
    ProcessAlreadyExists,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
    ProcessUnavailable,
    Server,
    open_node,
)
from trio_actors._core.spawn import SpawnTarget


async def idle(ctx: ProcessContext) -> None:
    """Waits for ever."""
    await trio.sleep_forever()


async def polite(ctx: ProcessContext) -> str:
    """Ends when it is asked to."""
    event = await ctx.events.receive()
    return f"{event.kind} from {event.sender.partition('|')[0]}"


async def slow_cleanup(ctx: ProcessContext) -> None:
    """Needs 3 seconds more than it is given."""
    await slow_to_end(3)


class Waits(Server):
    """For what nobody sends."""


class WaitsAsync(Server):
    """As `Waits`."""

    async def init(self) -> None:
        pass


async def test_host_id_is_free_or_taken(node: Node) -> None:
    """PH2: an id in use is ALREADY_EXISTS; afterwards it is free again."""
    async with node.open_host("app:a"):
        with pytest.raises(ProcessAlreadyExists):
            async with node.open_host("app:a"):
                raise AssertionError
    async with node.open_host("app:a") as again:
        assert again.id == "app:a"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be greater than 0"),
        ({"max_processes": -1}, "max_processes must not be negative"),
    ],
)
async def test_bad_host_options(node: Node, options: dict[str, int], message: str) -> None:
    """Z1: INVALID with its text, and no host."""
    with pytest.raises(ProcessInvalid, match=f"^{message}$"):
        async with node.open_host("app:a", **options):  # type: ignore[arg-type]
            raise AssertionError
    assert node.hosts == {}


async def test_spawn_on_a_host_that_does_not_run(node: Node, host: Host) -> None:
    """W3, Z2: never opened is NOT_FOUND, closed is UNAVAILABLE."""
    async with node.open_host("app:gone") as gone:
        pass
    with pytest.raises(ProcessNotFound, match=r"^host not found$"):
        await node.call(idle, host="app:never")
    for place in ("app:gone", gone):
        with pytest.raises(ProcessUnavailable, match=r"^host is not running$"):
            await node.call(idle, host=place)
    with pytest.raises(ProcessUnavailable, match=r"^host is not running$"):
        gone.spawn_soon(idle)


async def test_sc31_full_host(node: Node) -> None:
    """SC31, W8, Z5, V4: the third spawn is UNAVAILABLE, and works after one EXIT."""
    async with node.open_host("app:small", max_processes=2, drain=0) as host:
        first = await host.spawn(idle)
        await host.spawn(idle)
        with pytest.raises(ProcessUnavailable, match=r"^host is full \(max_processes=2\)$"):
            await host.spawn(idle)
        node.terminate(first)
        await node.wait(first)
        await host.spawn(idle)
        assert host.alive == 2


async def test_sc31_full_host_in_both_languages(stage: Stage, languages: tuple[str, str]) -> None:
    """SC31, W8, Z5, V4: whoever spawns whom, and who has read EXIT finds room."""
    parent = await stage.puppet(languages[0])
    spawn = ("spawn", PUPPETS[languages[1]], "app:small")
    async with stage.node.open_host("app:small", max_processes=2, drain=0) as small:
        pids = [await parent.do(*spawn, "", {"monitor": True}) for _ in range(2)]
        for options in ({}, {"monitor": True}, {"link": True}, {"messages": [["t"]]}):
            with pytest.raises(ProcessUnavailable, match=r"^host is full \(max_processes=2\)$"):
                await parent.do(*spawn, "n", options)
        assert (small.alive, stage.node.names.by_name) == (2, {})
        stage.adopt(pids[0]).tell("return")
        [event] = await parent.events()
        assert (event["kind"], event["from"]) == (EXIT, pids[0])
        assert await parent.do(*spawn, "n", {}) == stage.node.lookup("n")
        assert small.alive == 2


@pytest.mark.parametrize("leave", ["normally", "exception", "cancelled", "stop"])
async def test_sc31_stop_in_order(node: Node, leave: str) -> None:
    """SC31, Z2, Z3, PH3, PH4: CANCEL to all, the deaf end at the deadline, spawns are refused."""
    ends: dict[str, Exit] = {}
    refused: list[str] = []

    async def spawner(ctx: ProcessContext) -> None:
        await ctx.events.receive()
        for spawn in (ctx.spawn, ctx.host.spawn, ctx.call):
            try:
                await spawn(idle)
            except ProcessUnavailable as error:
                refused.append(str(error))

    async def block() -> None:
        async with node.open_host("app:a", drain=5) as host:
            for name, body in (("polite", polite), ("deaf", idle), ("spawner", spawner)):
                pid = await host.spawn(body, name=name)
                node.processes[pid].on_exit(lambda end, name=name: ends.update({name: end}))
            await trio.sleep(1)
            if leave == "exception":
                raise LookupError
            if leave == "cancelled":
                scope.cancel()
                await trio.sleep_forever()
            if leave == "stop":
                await host.stop()
                assert trio.current_time() == 6

    with trio.CancelScope() as scope:
        if leave == "exception":
            with pytest.raises(LookupError):
                await block()
        else:
            await block()
    assert scope.cancelled_caught is (leave == "cancelled")
    assert {name: text(end) for name, end in ends.items()} == {
        "polite": "pid.cancel from {node:control",
        "spawner": "None",
        "deaf": "cancel deadline exceeded",
    }
    assert refused == ["host is shutting down"] * 3
    assert (trio.current_time(), node.hosts, len(node.processes)) == (6, {}, 0)


async def test_stop_with_a_drain_of_its_own(node: Node) -> None:
    """Z3: the caller's drain is the deadline; stop is repeatable, also afterwards."""
    async with node.open_host("app:a", drain=100) as host:
        pid = await host.spawn(idle)
        await host.stop(2)
        await host.stop()
        assert (text(await node.wait(pid)), trio.current_time()) == ("cancel deadline exceeded", 2)


async def test_a_drain_may_be_text_as_any_duration(node: Node) -> None:
    """K2: of the host and of its stop; what is no duration is refused, and nothing has begun."""
    for wrong, error in (("soon", ProcessInvalid), (-1, ProcessInvalid), (None, TypeError)):
        with pytest.raises(error, match="duration"):
            async with node.open_host("app:a", drain=wrong):  # type: ignore[arg-type]
                raise AssertionError("it has been opened")
    assert node.hosts == {}
    async with node.open_host("app:a", drain="3s") as host:
        pid = await host.spawn(idle)
    assert (text(await node.wait(pid)), trio.current_time()) == ("cancel deadline exceeded", 3)
    async with node.open_host("app:a", drain="1h") as host:
        pid = await host.spawn(idle)
        with pytest.raises(ProcessInvalid, match="duration"):
            await host.stop("soon")
        await host.spawn(polite)  # it goes on
        await host.stop("500ms")
    assert (text(await node.wait(pid)), trio.current_time()) == ("cancel deadline exceeded", 3.5)


async def test_drain_of_zero_terminates_at_once(node: Node) -> None:
    """PH3: drain 0 asks nobody."""
    async with node.open_host("app:a", drain=0) as host:
        pid = await host.spawn(polite)
        await trio.testing.wait_all_tasks_blocked()
    assert (text(await node.wait(pid)), trio.current_time()) == ("process terminated", 0)


async def test_nothing_outlives_the_block(node: Node) -> None:
    """PH2, T5: a shielded cleanup delays the end of the host, and then everything is gone."""
    async with node.open_host("app:a", drain=1) as host:
        await host.spawn(slow_cleanup)
    assert (trio.current_time(), len(node.processes), host.alive) == (4, 0, 0)


async def test_join_waits_for_ends_of_their_own(node: Node) -> None:
    """PH3: join returns when all processes have ended by themselves, new ones included."""

    async def worker(ctx: ProcessContext, n: int) -> None:
        await trio.sleep(5)
        if n:
            await ctx.spawn(worker, n - 1)

    async with node.open_host("app:batch") as host:
        await host.spawn(worker, 2)
        await host.join()
        assert trio.current_time() == 15
        await host.join()


async def test_exit_and_link_down_are_produced_while_stopping(node: Node) -> None:
    """Z3: watchers on another host hear of the ends as always."""

    async def watcher(ctx: ProcessContext, pid: str) -> list[str]:
        ctx.options.trap_links = True
        ctx.monitor(pid)
        ctx.link(pid)
        return [(await ctx.events.receive()).kind for _ in range(2)]

    async with node.open_host("app:stays") as stays:
        async with node.open_host("app:stops", drain=1) as stops:
            pid = await stops.spawn(idle)
            watching = await stays.spawn(watcher, pid)
            await trio.testing.wait_all_tasks_blocked()
        assert (await node.wait(watching)).value == [EventKind.EXIT, EventKind.LINK_DOWN]


@pytest.mark.parametrize("drain", [0, 5])
async def test_host_opened_in_a_cancelled_scope_closes(node: Node, drain: float) -> None:
    """PH4: the block is entered, its first checkpoint is cancelled, and it is left."""
    with trio.CancelScope() as scope:
        scope.cancel()
        async with node.open_host("app:a", drain=drain) as host:
            await trio.sleep_forever()
    assert (scope.cancelled_caught, host.state, node.hosts) == (True, "stopped", {})


async def test_cancelled_in_the_middle_of_stopping(node: Node) -> None:
    """PH4: a cancellation that comes while the host stops changes nothing about the stop."""
    ends: list[str] = []
    with trio.CancelScope() as scope:
        async with node.open_host("app:a", drain=5) as host:
            pid = await host.spawn(idle)
            node.processes[pid].on_exit(lambda end: ends.append(text(end)))
            scope.deadline = trio.current_time() + 2
    assert (ends, trio.current_time()) == (["cancel deadline exceeded"], 5)


async def test_whole_program_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """PH4: node and hosts inside a cancelled scope stop in order, then the cancellation goes on."""
    with trio.move_on_after(10) as scope:
        async with open_node() as node:
            async with node.open_host("app:a", drain=3) as a, node.open_host("app:b") as b:
                first, second = await a.spawn(idle), await b.spawn(polite)
                await trio.sleep_forever()
    assert (scope.cancelled_caught, trio.current_time()) == (True, 13)
    assert [text(node.exits.get(pid).exit) for pid in (second, first)] == [  # type: ignore[union-attr]
        "pid.cancel from {node:control",
        "cancel deadline exceeded",
    ]


Outside = Callable[[Node, str], Awaitable[object]]


async def test_code_outside_processes_has_the_node(host: Host) -> None:
    """PH6: send, call, terminate, cancel, lookup, wait."""
    node = host.node

    async def echo(ctx: ProcessContext) -> list[object]:
        message = await ctx.inbox.receive()
        return [message.topic, message.sender, message.payload]

    pid = await host.spawn(echo, name="echo")
    assert node.lookup("echo") == pid
    node.send("echo", "t", 1)
    assert (await node.wait(pid)).value == ["t", None, 1]
    assert await node.call(polite_now, host=host) == "now"
    asked = await host.spawn(polite)
    node.cancel(asked, "5s")
    assert text(await node.wait(asked)) == "pid.cancel from {node:control"


async def polite_now(ctx: ProcessContext) -> str:
    """Ends at once."""
    return "now"


async def test_wait_is_free_of_races(host: Host) -> None:
    """PH6: the exit as a value, for the living and for those that have ended already."""
    node = host.node
    pid = await host.spawn(polite_now)
    before = await node.wait(pid)
    after = await node.wait(pid)
    assert (before is after, after.value, after.abnormal) == (True, "now", False)
    with pytest.raises(ProcessNotFound, match=r"^process not found$"):
        await node.wait("{app:main|0xfffff}")


async def test_wait_remembers_the_last_exits_only(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PH6: the memory of exits is bounded; beyond it a PID is not found."""
    monkeypatch.setattr("trio_actors._core.exits.REMEMBERED", 3)
    pids = []
    for _ in range(4):
        pids.append(await host.spawn(polite_now))
        await host.join()
    with pytest.raises(ProcessNotFound):
        await host.node.wait(pids[0])
    assert [(await host.node.wait(pid)).value for pid in pids[1:]] == ["now"] * 3


async def test_cancelled_wait_leaves_nothing(host: Host) -> None:
    """PH6: a wait that was given up is not called when the process ends."""
    pid = await host.spawn(idle)
    with trio.move_on_after(1):
        await host.node.wait(pid)
    host.node.terminate(pid)
    assert text(await host.node.wait(pid)) == "process terminated"


async def test_statistics_are_frozen_records(host: Host) -> None:
    """PH8: processes by state, messages delivered, unread messages, exits."""
    node = host.node
    inbox = await host.spawn(polite)
    await host.spawn(idle)
    await host.spawn(polite_now)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(3):
        node.send(inbox, "t")
    found = node.statistics()
    assert (found.name, found.processes, found.delivered, found.exits) == ("local", 2, 3, 1)
    [of_host] = found.hosts
    assert (of_host.id, of_host.state, of_host.processes) == ("app:main", "running", 2)
    assert (dict(of_host.by_state), of_host.longest_mailbox) == ({"idle": 1, "blocked": 1}, 3)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.processes = 5  # type: ignore[misc]


async def test_node_closes_when_its_block_raises(autojump_clock: trio.testing.MockClock) -> None:
    """PH1: an exception leaves the node as it is, alone and unwrapped."""
    with pytest.raises(LookupError):
        async with open_node():
            raise LookupError


async def test_two_errors_of_block_and_process_leave_as_a_group(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """PH7: the block's own exception and an E38 of a process are both seen."""

    async def fatal(ctx: ProcessContext) -> None:
        await ctx.events.receive()
        raise KeyboardInterrupt

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_node() as node, node.open_host("app:a") as host:
            await host.spawn(fatal)
            raise LookupError
    assert {type(e) for e in caught.value.exceptions} == {KeyboardInterrupt, LookupError}


async def test_stopping_from_inside_a_process(node: Node) -> None:
    """Z3: a process may ask its own host to stop; its await ends with the process."""

    async def stopper(ctx: ProcessContext) -> None:
        await ctx.host.stop(3)

    async with node.open_host("app:a") as host:
        pid = await host.spawn(stopper)
        assert text(await node.wait(pid)) == "cancel deadline exceeded"
    assert trio.current_time() == 3


async def test_error_of_a_process_is_never_the_hosts(host: Host) -> None:
    """TM4: a thousand failures later the host runs."""

    async def fails(ctx: ProcessContext) -> None:
        raise ProcessError("again")

    for _ in range(100):
        host.spawn_soon(fails)
    await host.join()
    assert await host.node.call(polite_now, host=host) == "now"


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("target", [Waits, WaitsAsync, idle])
@pytest.mark.parametrize("other", [Waits, idle, None])
async def test_a_spawn_on_a_host_that_was_aborted_is_refused_or_ends(
    node: Node, target: SpawnTarget, other: SpawnTarget | None, turns: int
) -> None:
    """W3, E37: in whichever turn of the loop it comes; nobody is left."""
    pids: list[Pid] = []
    async with node.open_host("app:h") as host:
        if other is not None:
            await host.spawn(other)
            await trio.testing.wait_all_tasks_blocked()
        host.abort()
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        with contextlib.suppress(ProcessUnavailable):
            pids.append(host.spawn_soon(target))
    assert [text(await node.wait(pid)) for pid in pids] == ["process cancelled"] * len(pids)
    assert not node.processes
