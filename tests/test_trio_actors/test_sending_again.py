"""Who sends to the same receiver again finds it without looking, and notices what has changed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from trio_actors import (
    Event,
    Exit,
    Host,
    Message,
    Pid,
    Process,
    ProcessContext,
    ProcessInvalid,
    ProcessNotFound,
)
from trio_actors import sys as inspection
from trio_actors._core.node import Gate


class Reading:
    """A process that reads, and what it has read."""

    def __init__(self, host: Host) -> None:
        self.read: list[Any] = []
        self.pid = host.spawn_soon(self.reads)

    async def reads(self, ctx: ProcessContext) -> None:
        """Reads its inbox."""
        self.ctx = ctx
        async for message in ctx.inbox:
            self.read.append((message.topic, message.sender, message.payload))


async def a_sender(host: Host, dest: str) -> ProcessContext:
    """The context of a process that has just sent two messages there."""
    contexts: list[ProcessContext] = []

    async def sends(ctx: ProcessContext) -> None:
        contexts.append(ctx)
        async for _ in ctx.events:
            return

    host.spawn_soon(sends)
    await wait_all_tasks_blocked()
    contexts[0].send(dest, "n", 1)
    contexts[0].send(dest, "n", 2)
    return contexts[0]


async def test_all_messages_arrive_in_order(host: Host) -> None:
    """M12, M32: whatever their topic, and however many payloads."""
    reading = Reading(host)
    await wait_all_tasks_blocked()
    ctx = await a_sender(host, reading.pid)
    ctx.send(reading.pid, "n", 3)
    ctx.send(reading.pid, "other", 4)
    ctx.send(reading.pid, "other", 5, 6)
    ctx.send(reading.pid, "n")
    await wait_all_tasks_blocked()
    expected = [("n", 1), ("n", 2), ("n", 3), ("other", 4), ("other", [5, 6]), ("n", None)]
    assert reading.read == [(topic, ctx.pid, payload) for topic, payload in expected]


async def test_a_receiver_that_has_ended_is_not_found(host: Host) -> None:
    """M7, M8: the message comes back."""
    reading = Reading(host)
    await wait_all_tasks_blocked()
    ctx = await a_sender(host, reading.pid)
    host.node.end(host.node.processes[reading.pid], Exit())
    with pytest.raises(ProcessNotFound) as raised:
        ctx.send(reading.pid, "n", 3)
    assert raised.value.undelivered == Message("n", ctx.pid, 3)


async def test_a_trace_that_begins_sees_the_next_message(host: Host) -> None:
    """Also that which the receiver reads in this turn."""
    reading, seen = Reading(host), list[Message | Event]()
    await wait_all_tasks_blocked()
    ctx = await a_sender(host, reading.pid)
    with inspection.trace(host.node, reading.pid, seen.append):
        ctx.send(reading.pid, "n", 3)
    ctx.send(reading.pid, "n", 4)
    await wait_all_tasks_blocked()
    assert seen == [Message("n", ctx.pid, 3)]
    assert [payload for _, _, payload in reading.read] == [1, 2, 3, 4]


class Keeps(Gate):
    """A gate that lets everything through later."""

    def __init__(self) -> None:
        self.kept: list[tuple[Process, Any]] = []

    def post(self, source: Pid | None, target: Process, item: Any) -> None:
        """Keeps it."""
        self.kept.append((target, item))

    def reply(self, source: Process, caller: Pid | None, deliver: Any) -> None:
        """Nobody asks."""

    def open(self) -> None:
        """Lets it through."""
        for target, item in self.kept:
            target.deliver(item)
        self.kept.clear()


async def test_a_gate_that_is_installed_gets_the_next_message(host: Host) -> None:
    """TS1: nothing passes it."""
    reading, gate = Reading(host), Keeps()
    await wait_all_tasks_blocked()
    ctx = await a_sender(host, reading.pid)
    with ExitStack() as stack:
        host.node.install(gate)
        stack.callback(host.node.install, None)
        ctx.send(reading.pid, "n", 3)
        await wait_all_tasks_blocked()
        assert [payload for _, _, payload in reading.read] == [1, 2]
        gate.open()
    await wait_all_tasks_blocked()
    assert [payload for _, _, payload in reading.read] == [1, 2, 3]


async def test_a_name_leads_to_who_holds_it_now(host: Host) -> None:
    """M4, R8: a name is looked up each time."""
    first, second = Reading(host), Reading(host)
    await wait_all_tasks_blocked()
    first.ctx.register("reader")
    ctx = await a_sender(host, "reader")
    first.ctx.unregister("reader")
    second.ctx.register("reader")
    ctx.send("reader", "n", 3)
    await wait_all_tasks_blocked()
    assert [payload for _, _, payload in first.read] == [1, 2]
    assert [payload for _, _, payload in second.read] == [3]


async def test_a_reserved_topic_is_refused_each_time(host: Host) -> None:
    """M3."""
    reading = Reading(host)
    await wait_all_tasks_blocked()
    ctx = await a_sender(host, reading.pid)
    for _ in range(3):
        with pytest.raises(ProcessInvalid, match="cannot send to @ topics"):
            ctx.send(reading.pid, "@inbox", 3)
    await wait_all_tasks_blocked()
    assert [payload for _, _, payload in reading.read] == [1, 2]


async def test_who_has_ended_sends_nothing(host: Host) -> None:
    """PY14."""
    reading = Reading(host)
    await wait_all_tasks_blocked()
    ctx = await a_sender(host, reading.pid)
    host.node.end(ctx.process, Exit())
    with pytest.raises(ProcessInvalid, match="no process context"):
        ctx.send(reading.pid, "n", 3)
    await wait_all_tasks_blocked()
    assert [payload for _, _, payload in reading.read] == [1, 2]
