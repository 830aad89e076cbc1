"""What a node says of itself: statistics, ages of messages, clocks, threads (PH1, PH8, PY13)."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

import pytest
import trio
import trio.testing

import trio_actors
from trio_actors import Bounded, Host, ProcessContext, Server, handles, open_node
from trio_actors._core.node import Gate


async def reader(ctx: ProcessContext) -> None:
    """Reads one message of its inbox, all of a topic, and then nothing."""
    ctx.listen("side")
    await ctx.inbox.receive()
    await trio.sleep_forever()


class Plain(Server):
    """Takes what comes."""

    @handles("n")
    def take(self, message: trio_actors.Message) -> None:
        pass


class Awaiting(Server):
    """Takes ten seconds for each message."""

    @handles("n")
    async def take(self, message: trio_actors.Message) -> None:
        await trio.sleep(10)


async def test_statistics_tell_the_longest_mailbox_and_the_oldest_unread_message(
    host: Host,
) -> None:
    """PH8: of node and host: processes by state, delivered, dead letters, lengths and ages."""
    node = host.node
    assert trio_actors.sys.statistics(node) == node.statistics()
    pid = await host.spawn(reader, mailbox=Bounded(5, overflow="drop_new"))
    await trio.testing.wait_all_tasks_blocked()
    node.send(pid, "n", 0)  # handed over: never unread
    node.send(pid, "n", 1)
    await trio.sleep(2)
    node.send(pid, "side", 2)
    await trio.sleep(1)
    for i in range(4):
        node.send(pid, "n", i)
    found = node.statistics()
    of_host = found.hosts[0]
    assert (found.delivered, found.dead_letters, found.processes, found.exits) == (7, 1, 1, 0)
    assert (of_host.by_state, of_host.unread) == ({"blocked": 1}, 5)
    assert (of_host.longest_mailbox, of_host.oldest_unread) == (5, 3.0)
    assert (found.longest_mailbox, found.oldest_unread) == (5, 3.0)
    with pytest.raises(AttributeError):
        found.delivered = 0  # type: ignore[misc]


async def test_statistics_of_an_empty_node() -> None:
    """PH8: nothing is unread."""
    async with open_node() as node:
        assert (node.statistics().longest_mailbox, node.statistics().oldest_unread) == (0, 0.0)


@pytest.mark.parametrize("server", [Plain, Awaiting])
async def test_unread_messages_of_a_server_age(host: Host, server: type[Server]) -> None:
    """PH8: of a suspended plain server, and of one that is busy with another message."""
    pid = await host.spawn(server, name="server", ready=True)
    if server is Plain:
        trio_actors.sys.suspend(host.node, pid)
    else:
        host.node.send(pid, "n")
        await trio.sleep(1)
    host.node.send(pid, "n")
    await trio.sleep(4)
    host.node.send(pid, "n")
    assert trio_actors.sys.view(host.node, pid).oldest_unread == 4.0
    assert "2 unread, the oldest for 4.0 s;" in trio_actors.sys.dump(host.node)


async def test_messages_are_stamped_behind_a_gate_too(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TS1: what a simulation delivers later waits from its delivery on."""
    held: list[Callable[[], None]] = []

    class Late(Gate):
        def post(self, source: object, target: trio_actors.Process, item: object) -> None:
            held.append(lambda: target.deliver(item))  # type: ignore[arg-type]

    pid = await host.spawn(reader)
    host.node.install(Late())
    host.node.send(pid, "side", 1)
    await trio.sleep(5)
    held.pop()()
    await trio.sleep(2)
    assert trio_actors.sys.view(host.node, pid).oldest_unread == 2.0
    host.node.install(None)


async def test_wall_clock_of_a_node_can_be_given() -> None:
    """PH1: the times of events come from it; two nodes of one program are independent."""
    async with open_node("a", clock=lambda: 86400.5) as a, open_node("b") as b:
        assert a.wall_time() == 86400.5
        assert b.wall_time() > 1e9
        async with a.open_host("app:h") as host:
            seen = []

            async def watcher(ctx: ProcessContext) -> None:
                await ctx.spawn(returns, monitor=True)
                seen.append(await ctx.events.receive())

            await a.wait(await host.spawn(watcher))
            assert seen[0].at == 86400.5


async def returns(ctx: ProcessContext) -> None:
    """Ends at once."""


async def test_other_threads_come_through_trio(host: Host) -> None:
    """PY13: a worker thread calls the context's methods with `trio.from_thread`."""

    def work(ctx: ProcessContext) -> str:
        trio.from_thread.run_sync(ctx.send, ctx.pid, "done", 42)
        pid: str = trio.from_thread.run(ctx.spawn, returns)
        return pid

    async def process(ctx: ProcessContext) -> tuple[str, int]:
        child = await trio.to_thread.run_sync(work, ctx)
        return child, (await ctx.inbox.receive()).payload

    child, payload = await host.node.call(process, host=host)
    assert payload == 42
    assert await host.node.wait(child)


async def test_stamps_of_real_time() -> None:
    """PH8: with Trio's own clock an unread message ages by seconds as well."""
    node_clock = trio.lowlevel.current_clock()
    assert type(node_clock).__name__ == "SystemClock"  # else messages pay for a slower clock
    async with open_node() as node, node.open_host("app:h", drain=0) as host:
        pid = await host.spawn(reader)
        node.send(pid, "side", 1)
        first = trio_actors.sys.view(node, pid).oldest_unread
        for _ in range(1000):
            await trio.lowlevel.checkpoint()
        second = trio_actors.sys.view(node, pid).oldest_unread
        assert 0 < first < second < 60


async def test_ids_come_from_the_chance_of_the_node() -> None:
    """TS3: a node with the same seed gives the same ids, as `uuid.UUID` of version 4 has them."""
    async with open_node() as node:
        node.rng.seed(7)
        ids = [node.uuid() for _ in range(200)]
    draw = random.Random(7)
    assert ids == [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(200)]


@pytest.mark.parametrize("kind", ["task", "plain", "awaiting"])
async def test_each_message_is_counted_once_whatever_way_it_takes(host: Host, kind: str) -> None:
    """PH8: topics that were never sent before, events and requests among many known ones."""
    node = host.node
    code = {"task": reader, "plain": Plain, "awaiting": Awaiting}[kind]
    pid = await host.spawn(code)
    other = await host.spawn(reader)
    await trio.testing.wait_all_tasks_blocked()
    before = node.statistics().delivered
    for number in range(5):
        for _ in range(3):
            node.send(pid, "n", number)
        node.send(pid, f"{kind} {number} {before}", number)
        node.cancel(other)
    assert node.statistics().delivered == before + 20
    await trio.testing.wait_all_tasks_blocked()
    assert node.statistics().delivered == before + 20
